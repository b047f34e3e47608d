/**
 * How a node finds its place: it listens whether it may exist (`presence-rules.ts`), then founds or finds its cluster
 * (`formation-rules.ts`), and goes on listening for as long as it lives (`presence.ts`).
 *
 *     open the hall → listen 300 ms and one word there and back → [no cluster yet: form] → run
 *
 * A loop looks at what was heard every 50 ms and takes at most one step: so at most one write is under way, and what
 * is durable is said only after it is. Waiting has no end but `signal`: an operator has to act, and is told what to do.
 */
import { CodedError, unreachable } from '../base/errors.ts';
import type { Log } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';
import {
  type Decision,
  decideAgent,
  decideServer,
  type FormationView,
  freshServers,
  HEARD_MS,
} from './formation-rules.ts';
import { watchVoters } from './formation-voters.ts';
import type { Hall } from './hall.ts';
import { type Identity, type IdentityFiles, joinCluster, keepPromise, saveIdentity } from './identity.ts';
import { Presence } from './presence.ts';
import { judgeStart } from './presence-rules.ts';

export interface Formation {
  readonly clusterUuid: string;
  /** nodeIds of the servers that vote, ascending; on a server those of the genesis. */
  readonly voters: readonly string[];
}

export interface FormationOptions {
  /** Of this boot of this node; nobody else listens to it. Stays open, whatever happens here. */
  readonly hall: Hall;
  /** Just opened, so with a boot of its own. */
  readonly identity: Identity;
  readonly files: IdentityFiles;
  readonly isServer: boolean;
  /** How many servers found the cluster together; null: this node founds none. Ignored once there is a cluster. */
  readonly expect: number | null;
  readonly clock: Clock;
  readonly log: Log;
  /** A new random id: 32 hex characters. */
  readonly mint: () => string;
  /** Breaks the waiting off with its reason. */
  readonly signal: AbortSignal;
  /** Default 300. */
  readonly listenMs?: number;
  /** After the start: this life must end, since a newer one runs or its disk failed. Called once. */
  readonly onMustStop: (error: unknown) => void;
  /** After the start, on an agent: other servers vote by now. They are durable already. */
  readonly onVoters?: (formation: Formation) => void;
  /** As in `PresenceOptions`, from the first word on. */
  readonly onLife?: (nodeId: string, boot: number) => void;
}

export interface Formed {
  readonly identity: Identity;
  readonly formation: Formation;
  readonly presence: Presence;
}

/**
 * Resolves when the node knows its cluster and may run in it; rejects when it may not (`foreign-directory`,
 * `directory-unusable`), when its disk fails, or with the reason of `signal`.
 */
export async function formOrJoin(options: FormationOptions): Promise<Formed> {
  const { hall, identity, isServer, expect, clock, log, mint, files, onVoters, onLife } = options;
  const onMustStop = once(options.onMustStop);
  const presence = new Presence({
    hall,
    identity,
    isServer,
    expect,
    clock,
    log,
    life: mint(),
    onMustStop,
    ...(onLife && { onLife }),
  });
  try {
    await listen(options, presence).catch((error: unknown) => giveBootBack(options, presence, error));
    const formation = knownFormation(presence.identity, isServer) ?? (await form(options, presence));
    presence.become({ stage: 'running' });
    if (!isServer) watchVoters({ files, clock, onMustStop, ...(onVoters && { onVoters }) }, presence);
    return { identity: presence.identity, formation, presence };
  } catch (error) {
    presence.close();
    throw error;
  }
}

const LOOK_MS = 50;
const LISTEN_MS = 300;
/** What a node waits for is said so often, and sooner when it has changed. */
const SAY_AGAIN_MS = 5_000;
const SAY_CHANGED_MS = 1_000;

/** A server that founded its cluster alone, before there were others, has noted no voters. */
function knownFormation({ clusterUuid, voters, nodeId }: Identity, isServer: boolean): Formation | undefined {
  if (clusterUuid === null) return undefined;
  if (voters !== null) return { clusterUuid, voters };
  return isServer ? { clusterUuid, voters: [nodeId] } : undefined;
}

/**
 * A life that was refused before it was anybody gives its boot back: else a directory that was rolled back would be let
 * in at one of the next starts, once its counter has caught up, and a copy would overtake the directory itself.
 */
async function giveBootBack({ files }: FormationOptions, { identity }: Presence, error: unknown): Promise<never> {
  if (error instanceof CodedError && identity.boot > 1)
    await saveIdentity(files, { ...identity, boot: identity.boot - 1 });
  throw error;
}

/** Until whoever lives could have answered. A hall that closes meanwhile begins it anew. */
async function listen(options: FormationOptions, presence: Presence): Promise<void> {
  const { hall, clock, listenMs = LISTEN_MS } = options;
  const waiting = new WaitingLines(options);
  let openSinceMs: number | undefined;
  for (;;) {
    const nowMs = clock.monotonic();
    refuseDuplicate(presence, nowMs);
    if (!hall.isOpen) openSinceMs = undefined;
    else if (openSinceMs === undefined) {
      openSinceMs = nowMs;
      // Asks at once: what was said before the hall was open is lost.
      presence.become({});
    }
    if (openSinceMs !== undefined && nowMs - openSinceMs >= listenMs && presence.echoMs >= openSinceMs) return;
    // A round trip that takes long is worth a line, the usual third of a second is not.
    if (openSinceMs === undefined) waiting.say(NO_HALL, true);
    else if (nowMs - openSinceMs >= SAY_AGAIN_MS) waiting.say('hears nothing by NATS, not even itself', true);
    await pause(options);
  }
}

async function form(options: FormationOptions, presence: Presence): Promise<Formation> {
  const { hall, clock } = options;
  const waiting = new WaitingLines(options);
  const settling = new Settling();
  const sinceMs = clock.monotonic();
  presence.become({ stage: 'forming' });
  for (;;) {
    const nowMs = clock.monotonic();
    refuseDuplicate(presence, nowMs);
    const decision = hall.isOpen ? decide(options, presence, { settling, sinceMs, nowMs }) : NO_HALL_DECISION;
    if (decision.type === 'wait') waiting.say(decision.message, decision.needsHelp);
    else {
      const identity = await act(options, presence, decision);
      presence.become({ identity });
      const formation = decision.type === 'join' ? knownFormation(identity, options.isServer) : undefined;
      if (formation !== undefined) return formation;
    }
    await pause(options);
  }
}

function refuseDuplicate(presence: Presence, nowMs: number): void {
  const refusal = judgeStart(presence.standing, presence.peers.livesWithin(HEARD_MS, nowMs));
  if (refusal !== undefined) throw new CodedError(refusal.code, refusal.message);
}

interface Progress {
  readonly settling: Settling;
  readonly sinceMs: number;
  readonly nowMs: number;
}

function decide(options: FormationOptions, presence: Presence, { settling, sinceMs, nowMs }: Progress): Decision {
  const { nodeId, nodeName, clusterName, clusterUuid, promise } = presence.identity;
  const peers = presence.peers.heardWithin(HEARD_MS, nowMs);
  if (!options.isServer) return decideAgent(peers, clusterName, clusterUuid);
  const fresh = freshServers(peers).map((peer) => `${peer.nodeId} ${peer.here.expect}`);
  const view: FormationView = {
    nodeId,
    name: nodeName,
    clusterName,
    promise,
    expect: options.expect,
    directory: options.files.label,
    peers,
    lastOf: (other) => presence.peers.get(other),
    settledMs: settling.since(fresh.join(), nowMs),
    nowMs,
    sinceMs,
  };
  return decideServer(view);
}

function act(
  { files, log, mint }: FormationOptions,
  { identity }: Presence,
  decision: Exclude<Decision, { readonly type: 'wait' }>,
): Promise<Identity> {
  switch (decision.type) {
    case 'propose': {
      const { voters } = decision;
      log.info(`proposes a cluster of ${voters.length}`);
      return keepPromise(files, identity, { clusterUuid: mint(), voters, proposer: identity.nodeId });
    }
    case 'promise':
      return keepPromise(files, identity, decision.promise);
    case 'join':
      log.info(`joins cluster ${identity.clusterName} (${decision.clusterUuid})`);
      return joinCluster(files, identity, decision.clusterUuid, decision.voters);
    case 'refuse':
      throw new CodedError(decision.refusal.code, decision.refusal.message);
    default:
      return unreachable(decision);
  }
}

async function pause({ clock, signal }: FormationOptions): Promise<void> {
  signal.throwIfAborted();
  await new Promise<void>((resolve) => clock.after(LOOK_MS, resolve));
  signal.throwIfAborted();
}

const NO_HALL = 'NATS is not reachable; waits for it';
const NO_HALL_DECISION: Decision = { type: 'wait', message: NO_HALL, needsHelp: true };

function once(run: (error: unknown) => void): (error: unknown) => void {
  let isCalled = false;
  return (error) => {
    if (isCalled) return;
    isCalled = true;
    run(error);
  };
}

/** For how long a set has been the same. */
class Settling {
  #key: string | undefined;
  #sinceMs = 0;

  since(key: string, nowMs: number): number {
    if (key !== this.#key) {
      this.#key = key;
      this.#sinceMs = nowMs;
    }
    return nowMs - this.#sinceMs;
  }
}

/** What the node waits for, said as often as a person wants to read it. */
class WaitingLines {
  readonly #log: Log;
  readonly #clock: Clock;
  #said = '';
  #saidMs = Number.NEGATIVE_INFINITY;

  constructor({ log, clock }: FormationOptions) {
    this.#log = log;
    this.#clock = clock;
  }

  say(message: string, needsHelp: boolean): void {
    const silentMs = this.#clock.monotonic() - this.#saidMs;
    if (silentMs < (message === this.#said ? SAY_AGAIN_MS : SAY_CHANGED_MS)) return;
    this.#said = message;
    this.#saidMs = this.#clock.monotonic();
    if (needsHelp) this.#log.warn(message);
    else this.#log.info(message);
  }
}
