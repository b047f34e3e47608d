/**
 * A node's presence in the hall: says who it is, answers who asks, and notices whoever cannot exist beside it.
 *
 *     starting, forming   says `here` every 250 ms and asks; `formation.ts` reads what was heard and decides
 *     running             says `here` every second (agents: every five) and at once when asked
 *
 * What the words mean is in `presence-rules.ts`, who was heard in `presence-peers.ts`.
 */
import { CodedError } from '../base/errors.ts';
import { rateLimited } from '../base/rate-limited.ts';
import type { Log } from '../base/telemetry.ts';
import type { Clock, Timer } from '../base/time.ts';
import type { Hall, Word } from './hall.ts';
import type { Identity } from './identity.ts';
import { type Peer, Peers } from './presence-peers.ts';
import { judgeRunning, type Standing } from './presence-rules.ts';
import { ANSWERS_MAX, type Answer, decodeHere, encodeHere, type Here, type Stage } from './presence-word.ts';

export interface PresenceOptions {
  readonly hall: Hall;
  readonly identity: Identity;
  readonly isServer: boolean;
  readonly expect: number | null;
  readonly clock: Clock;
  readonly log: Log;
  /** 32 random hex characters that no other life has. */
  readonly life: string;
  /** A newer life of this node runs: this one must not. Called once. */
  readonly onMustStop: (error: CodedError) => void;
  /**
   * Somebody was heard in a life that got past its start, so frames may be meant for that boot. A life that starts may
   * be a copy that is about to be refused: whoever believed its boot would no longer hear the node itself.
   */
  readonly onLife?: (nodeId: string, boot: number) => void;
}

/** nodeIds, ascending. */
export interface Membership {
  readonly voters: readonly string[];
  readonly learners: readonly string[];
  /** Of the log entry that says so. */
  readonly index: number;
}

const ASK_MS = 250;
const SERVER_BEAT_MS = 1_000;
const AGENT_BEAT_MS = 5_000;
/** Answers are gathered for so long: a herd that starts is answered in a few words. */
const ANSWER_PAUSE_MS = 50;
/** Whoever was silent for three beats and a bit is no conflict any more. */
const SERVER_SILENT_MS = 3_500;
const AGENT_SILENT_MS = 16_000;
const WARNINGS_PER_MINUTE = 4;

export class Presence {
  readonly peers = new Peers();
  readonly #options: PresenceOptions;
  readonly #log: Log;
  /** By life: who asked since the last word. */
  readonly #askers = new Map<string, Answer>();
  #identity: Identity;
  #stage: Stage = 'starting';
  #membership: Membership | undefined;
  #knownBoot = 0;
  #saidMs = Number.NEGATIVE_INFINITY;
  #echoMs = Number.NEGATIVE_INFINITY;
  #beat: Timer | undefined;
  #onBeat: (() => void) | undefined;
  #answer: Timer | undefined;
  #isReplaced = false;
  #isClosed = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#identity = options.identity;
    this.#log = rateLimited(options.log, options.clock, WARNINGS_PER_MINUTE);
    options.hall.onWord((word) => this.#hear(word));
    this.#beatNow();
  }

  get identity(): Identity {
    return this.#identity;
  }

  get standing(): Standing {
    const { isServer, life } = this.#options;
    return { identity: this.#identity, isServer, life, stage: this.#stage, knownBoot: this.#knownBoot };
  }

  /** When this life last heard itself, in monotonic ms: until then a word has been to the hall and back. */
  get echoMs(): number {
    return this.#echoMs;
  }

  /** What changed is said at once. */
  become(change: { readonly identity?: Identity; readonly stage?: Stage }): void {
    this.#identity = change.identity ?? this.#identity;
    this.#stage = change.stage ?? this.#stage;
    this.#beatNow();
  }

  /** Who the servers are, as this server's log says. Said at once. */
  setMembership(membership: Membership): void {
    this.#membership = membership;
    this.#beatNow();
  }

  /** Other nodes that cannot exist beside this one and yet do, for people; empty: all is well. */
  conflicts(): readonly string[] {
    const nowMs = this.#options.clock.monotonic();
    const messages = this.peers
      .livesWithin(AGENT_SILENT_MS, nowMs)
      .filter(({ here, heardMs }) => !here.isServer || nowMs - heardMs <= SERVER_SILENT_MS)
      .flatMap((peer) => judgeRunning(this.standing, peer)?.message ?? []);
    return [...new Set(messages)];
  }

  /** One listener, called with each word that is not an answer while the node runs. */
  onBeat(listener: () => void): void {
    this.#onBeat = listener;
  }

  /** Says and hears nothing any more. The hall stays open. */
  close(): void {
    this.#isClosed = true;
    this.#beat?.cancel();
    this.#answer?.cancel();
  }

  #beatNow(): void {
    if (this.#isClosed) return;
    this.#beat?.cancel();
    const isRunning = this.#stage === 'running';
    this.#say(!isRunning);
    if (isRunning) this.#onBeat?.();
    const pauseMs = isRunning ? (this.#options.isServer ? SERVER_BEAT_MS : AGENT_BEAT_MS) : ASK_MS;
    this.#beat = this.#options.clock.after(pauseMs, () => this.#beatNow());
  }

  #say(asks: boolean): void {
    const { hall, isServer, life, expect, clock } = this.#options;
    this.#answer?.cancel();
    this.#answer = undefined;
    const answers = [...this.#askers.values()];
    this.#askers.clear();
    const { nodeName: name, clusterUuid, promise } = this.#identity;
    const {
      voters,
      learners,
      index: membershipIndex,
    } = this.#membership ?? {
      voters: this.#identity.voters,
      learners: [],
      index: 0,
    };
    const voterNames = (voters ?? []).map((nodeId) => this.#nameOf(nodeId));
    const here: Here = {
      life,
      name,
      isServer,
      stage: this.#stage,
      asks,
      clusterUuid,
      voters,
      learners,
      membershipIndex,
      voterNames,
      expect: isServer ? expect : null,
      promise,
      answers,
    };
    this.#saidMs = clock.monotonic();
    hall.say(encodeHere(here));
  }

  #nameOf(nodeId: string): string {
    return nodeId === this.#identity.nodeId ? this.#identity.nodeName : (this.peers.get(nodeId)?.here.name ?? '');
  }

  #hear({ from, fromBoot, body }: Word): void {
    if (this.#isClosed) return;
    const { clock, life } = this.#options;
    const here = decodeHere(body);
    if (here === undefined) {
      this.#log.warn('a word of another node was not understood', { node: from });
      return;
    }
    const nowMs = clock.monotonic();
    if (here.life === life) {
      this.#echoMs = nowMs;
      return;
    }
    const answer = here.answers.find((entry) => entry.life === life);
    this.#knownBoot = Math.max(this.#knownBoot, answer?.known ?? 0);
    const peer: Peer = { nodeId: from, boot: fromBoot, here, heardMs: nowMs, isProven: answer !== undefined };
    // Before it is remembered: the answer is about what was known without it.
    if (here.asks && this.#mustAnswer(peer)) this.#answerSoon(peer, nowMs);
    this.peers.hear(peer);
    if (here.stage !== 'starting') this.#options.onLife?.(from, fromBoot);
    if (this.#stage === 'running') this.#meet(peer);
  }

  /** A thousand agents would all say the same: they leave answers to the servers, but for what only they know. */
  #mustAnswer({ nodeId, here }: Peer): boolean {
    const { nodeId: own, nodeName } = this.#identity;
    return this.#options.isServer || nodeId === own || here.name === nodeName;
  }

  #answerSoon({ nodeId, here }: Peer, nowMs: number): void {
    // Who does not fit in asks again.
    if (this.#askers.size >= ANSWERS_MAX && !this.#askers.has(here.life)) return;
    this.#askers.set(here.life, { nodeId, life: here.life, known: this.#bootOf(nodeId) });
    if (this.#answer !== undefined) return;
    const waitMs = Math.max(0, this.#saidMs + ANSWER_PAUSE_MS - nowMs);
    this.#answer = this.#options.clock.after(waitMs, () => this.#say(false));
  }

  #bootOf(nodeId: string): number {
    const heard = this.peers.get(nodeId)?.boot ?? 0;
    const isOwn = nodeId === this.#identity.nodeId && this.#stage !== 'starting';
    return isOwn ? Math.max(heard, this.#identity.boot) : heard;
  }

  #meet(peer: Peer): void {
    const collision = judgeRunning(this.standing, peer);
    if (collision === undefined) return;
    if (collision.type === 'conflict') {
      this.#log.warn(collision.message, { node: peer.here.name });
      return;
    }
    if (this.#isReplaced) return;
    this.#isReplaced = true;
    this.#log.error(collision.message);
    this.#options.onMustStop(new CodedError('foreign-directory', collision.message));
  }
}
