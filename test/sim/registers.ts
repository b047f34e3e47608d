/**
 * Clients for whom a job is a register: they put a value, read it, delete it, on any server, and write down when they
 * asked and what they were told. In the end the history must be linearizable: what they saw could have come from one
 * machine that did one thing after another. Calls that nobody answered may have been done, at any time, or not.
 */
import { sha256Hex } from '../../src/base/hash.ts';
import type { Random } from '../../src/base/random.ts';
import type { Intent } from '../../src/scheduler/intent.ts';
import { type JobRow, keys, type NameRow } from '../../src/scheduler/rows.ts';
import type { SubmitAnswer } from '../../src/scheduler/submission-actor.ts';
import { checkLinearizability } from '../linearizability/checker.ts';
import { type Begun, History } from '../linearizability/history.ts';
import { chance, pick, SOURCES, sourceFor } from './draw.ts';
import { repeat } from './repeat.ts';
import type { SimNode } from './sim-node.ts';
import { check } from './violation.ts';
import { PLAIN_JOB } from './workload.ts';
import type { World } from './world.ts';

/** Few, so that clients meet; and new ones each few seconds, for a search in a long history with open calls is long. */
const NAMES = ['one', 'two'] as const;
const NAMES_MS = 4_000;
const OPEN_MAX = 6;
const CLIENTS = ['c1', 'c2', 'c3', 'c4'] as const;
/** Longer than a server tries. */
const ASK_MS = 15_000;

export class Registers {
  isStopped = false;
  readonly #world: World;
  readonly #random: Random;
  readonly #history: History;
  readonly #present = new Map<string, { readonly key: string; readonly untilMs: number }>();
  /** Writes whose outcome is not known. */
  readonly #open = new Set<Begun>();
  #generations = 0;
  #requests = 0;

  constructor(world: World) {
    this.#world = world;
    this.#random = sourceFor(world.seed, SOURCES.registers);
    this.#history = new History(() => world.clock.monotonic());
  }

  start(): void {
    const { clock, plan } = this.#world;
    repeat({ clock, random: this.#random, everyMs: plan.readEveryMs, isOver: () => this.isStopped }, () => {
      const servers = this.#world.servers.filter((server) => server.running !== undefined);
      if (servers.length > 0) this.#operate(pick(this.#random, servers));
    });
  }

  /** After all was answered that will be. */
  judge(): void {
    const verdict = checkLinearizability(this.#history.operations());
    // A search that was given up proves nothing, and a check that proves nothing is none.
    check(verdict.type === 'ok', () => {
      if (verdict.type === 'violation') return `not linearizable: ${verdict.key}: ${verdict.explanation}`;
      return 'whether the history is linearizable was not found out within the bound of the search';
    });
  }

  #operate(server: SimNode): void {
    const random = this.#random;
    const key = this.#keyFor(pick(random, NAMES));
    const who = { client: pick(random, CLIENTS), server: server.name, key };
    if (chance(random, 0.5)) return this.#read(server, this.#history.begin({ ...who, action: { type: 'get' } }));
    this.#requests += 1;
    const value = `v${this.#requests}`;
    const isPut = chance(random, 0.7);
    const action = isPut ? ({ type: 'put', value } as const) : ({ type: 'delete' } as const);
    const intent: Intent = isPut
      ? { type: 'put-job', job: { ...PLAIN_JOB, name: key, metadata: { value } }, runOnCreate: false }
      : { type: 'delete-job', name: key };
    this.#write(server, this.#history.begin({ ...who, action }), intent);
  }

  #keyFor(name: string): string {
    const nowMs = this.#world.clock.monotonic();
    const present = this.#present.get(name);
    if (present !== undefined && nowMs < present.untilMs && this.#openWrites(present.key) < OPEN_MAX)
      return present.key;
    this.#generations += 1;
    const key = `register-${name}-${this.#generations}`;
    this.#present.set(name, { key, untilMs: nowMs + NAMES_MS });
    return key;
  }

  #openWrites(key: string): number {
    return [...this.#open].filter((begun) => begun.key === key).length;
  }

  #write(server: SimNode, begun: Begun, intent: Intent): void {
    const consensus = server.running?.consensus;
    if (consensus == null) return this.#history.refuse(begun);
    this.#open.add(begun);
    const requestId = `register-${this.#requests}`;
    const bodyHash = sha256Hex(JSON.stringify(intent));
    const submission = { requestId, caller: 'register', bodyHash, intent };
    consensus.submission.ask({ type: 'submit', submission }, ASK_MS, (outcome) => {
      if (outcome.type !== 'answer') return;
      if (outcome.answer.type === 'done' || outcome.answer.code !== 'outcome-unknown') this.#open.delete(begun);
      this.#told(begun, outcome.answer);
    });
  }

  #told(begun: Begun, answer: SubmitAnswer): void {
    if (answer.type === 'failed') {
      if (answer.code !== 'outcome-unknown') this.#history.refuse(begun);
      return;
    }
    const { result } = answer;
    if (begun.action.type === 'put') {
      if (result.type === 'job') this.#history.end(begun, { type: 'stored' });
      return;
    }
    const wasThere = result.type === 'job';
    if (wasThere || (result.type === 'refused' && result.code === 'not-found')) {
      this.#history.end(begun, { type: 'deleted', wasThere });
    }
  }

  #read(server: SimNode, begun: Begun): void {
    const consensus = server.running?.consensus;
    if (consensus == null) return this.#history.refuse(begun);
    consensus.stateActor.ask({ type: 'await-stored', isLinearizable: true }, ASK_MS, (outcome) => {
      const isReadable = outcome.type === 'answer' && outcome.answer.type === 'stored';
      if (!isReadable || consensus.state === null) return this.#history.refuse(begun);
      const uid = consensus.state.get<NameRow>(keys.name(begun.key))?.uid;
      const row = uid === undefined ? undefined : consensus.state.get<JobRow>(keys.job(uid));
      this.#history.end(begun, { type: 'read', value: row?.job.metadata?.['value'] ?? null });
    });
  }
}
