/**
 * A cluster of whole nodes in one thread: one to seven servers and some agents, each put together by `src/node.ts`, on one
 * line of virtual time, one network and one queue of turns. Everything that is random comes from the seed.
 *
 *   step: earliest timer ─► set the time, run it ─► take turns until every mailbox is empty ─► check what must hold
 *
 * The loop is synchronous but for what lives in promises (a node's start and stop, a snapshot that is installed): while any
 * of that is under way, a fixed number of microtasks is let run after each event, which is the same in each run.
 */
import { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import { type Random, randomInteger } from '../../src/base/random.ts';
import type { LogFields } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import { isId } from '../../src/cluster/envelope.ts';
import { MemoryNetwork } from '../../src/cluster/memory-transport.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import type { Zones } from '../../src/jobs/zone.ts';
import type { EntryId } from '../../src/raft/types.ts';
import { between, chance, SOURCES, sourceFor } from './draw.ts';
import { Hints } from './hints.ts';
import { Invariants } from './invariants.ts';
import { CLUSTER_UUID, configOf, membersOf, nameOf } from './members.ts';
import { calmed, type Plan, planText } from './plan.ts';
import { Promises } from './promises.ts';
import { SimExecutor } from './sim-executor.ts';
import { SimNode, type Surroundings } from './sim-node.ts';
import type { DiskWatch } from './sim-platform.ts';
import { Trace } from './trace.ts';
import { check, Violation } from './violation.ts';
import { Weather } from './weather.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly plan: Plan;
  /** Sees every line of the trace. */
  readonly sink?: (line: string) => void;
}

export class World {
  readonly clock = new VirtualClock(START_MS);
  readonly turns = new VirtualTurns();
  readonly trace: Trace;
  readonly network: MemoryNetwork;
  readonly weather: Weather;
  readonly invariants: Invariants;
  readonly promises: Promises;
  readonly hints: Hints;
  readonly nodes: readonly SimNode[];
  readonly seed: number;
  plan: Plan;
  /** Timers that were run. */
  events = 0;
  #violation: Violation | undefined;
  #microtasksOwed = 0;
  readonly #diskRandom: Random;

  constructor({ seed, plan, sink }: WorldOptions) {
    this.seed = seed;
    this.plan = plan;
    this.trace = new Trace(() => this.clock.monotonic(), sink);
    this.invariants = new Invariants({ zones: ZONES, nameOf });
    this.promises = new Promises(this.invariants.voters);
    this.hints = new Hints(this);
    this.#diskRandom = sourceFor(seed, SOURCES.disk);
    this.weather = new Weather(this);
    this.network = new MemoryNetwork({
      clock: this.clock,
      cluster: CLUSTER_UUID,
      judge: (passage) => {
        const delaysMs = this.weather.judge(passage);
        const { from, to, channel, sizeBytes } = passage;
        this.trace.add(nameOf(from), `${channel} to ${nameOf(to)}, ${sizeBytes} bytes, ${delaysMs.length} copies`);
        return delaysMs;
      },
    });
    this.trace.add('world', `seed ${seed}, plan: ${planText(plan)}`);
    const surroundings = this.#surroundings();
    const rates = sourceFor(seed, SOURCES.rates);
    this.nodes = membersOf(plan).map(
      (member) =>
        new SimNode({
          id: member.id,
          config: configOf(member, plan),
          random: sourceFor(seed, SOURCES.firstNode + member.position),
          rate: 1 + between(rates, -plan.driftMax, plan.driftMax),
          world: surroundings,
        }),
    );
  }

  get servers(): readonly SimNode[] {
    return this.nodes.filter((node) => node.config.isServer);
  }

  /** The server that leads and is ready, as it sees itself; the one of the latest term. */
  get leader(): SimNode | undefined {
    let found: SimNode | undefined;
    let term = 0;
    for (const node of this.servers) {
      const progress = node.running?.progress();
      if (progress?.role !== 'leader' || !progress.isReady || progress.term < term) continue;
      found = node;
      term = progress.term;
    }
    return found;
  }

  /** Where one must be, since nothing goes wrong. */
  get steadyLeader(): SimNode {
    const { leader } = this;
    check(leader !== undefined, () => 'the leader is gone without a fault');
    return leader;
  }

  /** Runs a rule of the checks from within a node, whose own supervision must not see it throw. */
  guard(run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#violation ??= error instanceof Violation ? error : new Violation(`a check failed: ${String(error)}`);
    }
  }

  /** Until `isOver`, asked after each event. Throws the first violation. */
  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      const isInPromises = this.nodes.some((node) => node.isInPromises);
      if (!this.clock.runNext() && !isInPromises) throw new Violation('nobody waits for anything any more');
      this.events += 1;
      this.#takeTurns();
      if (isInPromises || this.#microtasksOwed > 0) {
        await this.#letMicrotasksRun();
        // What went on while this loop came back to itself.
        this.#takeTurns();
      }
      this.guard(() => this.invariants.afterEvent(this));
      if (this.#violation !== undefined) throw this.#violation;
    }
  }

  async runFor(virtualMs: number): Promise<void> {
    const untilMs = this.clock.monotonic() + virtualMs;
    let isOver = false;
    this.clock.after(virtualMs, () => {
      isOver = true;
    });
    await this.run(() => isOver || this.clock.monotonic() > untilMs);
  }

  /** Fails the run unless `isTrue` within so much virtual time. */
  async runUntil(isTrue: () => boolean, withinMs: number, what: () => string): Promise<void> {
    const untilMs = this.clock.monotonic() + withinMs;
    await this.run(() => isTrue() || this.clock.monotonic() > untilMs);
    if (!isTrue()) throw new Violation(`not within ${withinMs / 1000} s: ${what()}`);
  }

  /** All faults off; the network heals, disks and threads go on, nodes that are down stay down. */
  calm(): void {
    this.plan = calmed(this.plan);
    this.network.heal();
    this.network.comeUp();
    this.weather.clear();
    for (const node of this.nodes) {
      node.drive.thaw();
      node.goOn();
      node.skewMs = 0;
      node.isDiskFlaky = false;
      // A full disk that no write has met yet would stop the node later, when nobody starts it again.
      if (node.isDoomed && node.isUp) node.crash(() => 0.5, 'prefix');
    }
  }

  #takeTurns(): void {
    try {
      this.turns.runAll();
    } catch (error) {
      throw new Violation(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
  }

  async #letMicrotasksRun(): Promise<void> {
    this.#microtasksOwed = 0;
    for (let round = 0; round < MICROTASK_ROUNDS; round += 1) {
      for (let tick = 0; tick < MICROTASKS_PER_ROUND; tick += 1) await null;
      this.#takeTurns();
      if (this.#microtasksOwed === 0) return;
      this.#microtasksOwed = 0;
    }
  }

  /** Committed means durable on a majority, servers that are down included (I5). */
  #checkDurable(entry: EntryId): void {
    const holders = this.servers.filter((node) => this.promises.holds(node, entry));
    check(
      this.invariants.voters.isQuorum(
        entry.index,
        holders.map(({ id }) => id),
      ),
      () => `entry ${entry.index} is applied, and durable on ${holders.map(({ name }) => name).join() || 'no server'}`,
    );
  }

  /** A new leader has all that was committed before (I6). */
  #elected(node: SimNode, term: number): void {
    this.invariants.elected(node, term);
    const last = this.invariants.lastCommitted;
    check(
      last === null || last.index <= 1 || this.promises.holds(node, last),
      () => `${node.name} leads term ${term} without entry ${last?.index} of term ${last?.term}`,
    );
  }

  #surroundings(): Surroundings {
    const executorRandom = sourceFor(this.seed, SOURCES.executor);
    const eventRandom = sourceFor(this.seed, SOURCES.events);
    return {
      clock: this.clock,
      turns: this.turns,
      network: this.network,
      zones: ZONES,
      writeDelayMs: () => between(this.#diskRandom, 0, this.plan.writeDelayMsMax),
      hopMs: () => between(this.#diskRandom, 0, this.plan.hopMsMax),
      isThreaded: this.plan.isThreaded,
      executor: (node, clock) =>
        new SimExecutor({
          clock,
          onStart: (task) => {
            this.trace.add(node.name, `starts ${task.execution}`);
            this.guard(() => this.invariants.started(node, task, this.clock.monotonic()));
            const runMs = randomInteger(executorRandom, 0, Math.ceil(this.plan.runMsMax));
            return { runMs, outcome: chance(executorRandom, this.plan.failedShare) ? 'failed' : 'succeeded' };
          },
        }),
      probes: (node) => ({
        raft: {
          keepEntries: this.plan.keepEntries,
          logBytesMax: this.plan.logBytesMax,
          limits: {
            electionTicks: this.plan.electionTicks,
            appendBytesMax: this.plan.appendBytesMax,
            inflightMessagesMax: this.plan.inflightMessagesMax,
            inflightBytesMax: this.plan.inflightBytesMax,
          },
        },
        keepEvent: () => !chance(eventRandom, this.plan.eventLossShare),
        onApplied: (state, entry, events) => {
          this.guard(() => {
            const isFirst = entry.index > this.invariants.lastIndex;
            const hash = this.invariants.applied(node, state, entry, events, this.clock.now());
            // Entry 1 is written by each server on its own, at its first start.
            if (isFirst && entry.index > 1) this.#checkDurable(entry);
            this.trace.add(node.name, `applies ${entry.index} of term ${entry.term}, state ${hash}`);
          });
        },
      }),
      onLine: (node, level, message, fields) => this.#line(node, level, message, fields),
      onSend: (node, to, channel, body) => {
        if (channel === 'raft') this.guard(() => this.promises.sent(node, to, body));
      },
      onHint: (node, about, hear) => {
        const subject = this.nodes.find(({ id }) => id === about);
        if (subject !== undefined) this.hints.arrive(node, subject, hear);
      },
      onStopped: (node) => {
        this.trace.add(node.name, 'has stopped');
        this.startLater(node, this.#diskRandom);
      },
      onFailed: (node, error, actor) => {
        if (node.isDoomed) return this.#stopDoomed(node);
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        this.#violation ??= new Violation(`${node.name}: ${actor} failed: ${text}`);
      },
      diskWatch: (node) => this.#watchDisk(node),
    };
  }

  #watchDisk(node: SimNode): DiskWatch {
    return {
      onPromise: () => {
        this.#microtasksOwed += 1;
      },
      verdict: () => {
        if (!node.isDiskFlaky) return 'fine';
        node.isDiskFlaky = false;
        node.isDoomed = true;
        this.trace.add(node.name, 'has a write that fails');
        const { lives } = node;
        this.clock.after(STOP_MS, () => {
          const isLate = node.isUp && node.lives === lives && !node.isHeldUp;
          this.guard(() => check(!isLate, () => `${node.name} still runs, and a write of it has failed`));
        });
        return chance(this.#diskRandom, 0.5) ? 'failed-kept' : 'failed-lost';
      },
      later: (run) => {
        const { lives } = node;
        this.clock.after(between(this.#diskRandom, 0, this.plan.writeDelayMsMax), () => {
          if (node.isUp && node.lives === lives) run();
        });
      },
    };
  }

  /** After an outage; what then goes wrong at once is drawn too. */
  startLater(node: SimNode, random: Random): void {
    this.clock.after(this.plan.outageMsMax * random(), () => {
      if (node.isUp) return;
      this.trace.add(node.name, 'starts again');
      node.start();
      if (!chance(random, this.plan.crashAtStartShare)) return;
      this.clock.after(between(random, 0, START_CRASH_MS), () => {
        if (!node.isUp) return;
        this.trace.add(node.name, 'crashes at its start');
        node.crash(random, 'any-subset');
        this.startLater(node, random);
      });
    });
  }

  /** The first storage error ends the process; whoever looks after it starts it again. */
  #stopDoomed(node: SimNode): void {
    this.trace.add(node.name, 'stops, since something of it has failed');
    node.crash(this.#diskRandom, 'any-subset');
    this.startLater(node, this.#diskRandom);
  }

  #line(node: SimNode, level: string, message: string, fields: LogFields): void {
    this.trace.add(node.name, `${level} ${message} ${textOf(fields)}`);
    this.guard(() => {
      if (message === 'raft: leader') this.#elected(node, Number(fields['term']));
      if (message === 'raft: configuration') {
        this.invariants.voters.inForce(Number(fields['index']), idsIn(fields['voters']), idsIn(fields['outgoing']));
      }
      if (fields['reason'] === 'mailbox-full')
        throw new Violation(`${node.name}: a mailbox is full: ${textOf(fields)}`);
    });
  }
}

/** A Sunday in March, an hour before Berlin's clocks spring forward. */
const START_MS = Date.UTC(2026, 2, 29, 0, 58, 30);
/** A node whose write has failed has ended by then, hung disks and threads included. */
const STOP_MS = 30_000;
const START_CRASH_MS = 40;
/** Enough for every chain of awaits between two calls of a disk. */
const MICROTASKS_PER_ROUND = 16;
const MICROTASK_ROUNDS = 64;
/** Shared by all worlds: building a table takes 40 ms. */
const ZONES: Zones = createIntlZones();

function idsIn(field: unknown): readonly string[] {
  return String(field).split(' ').filter(isId);
}

function textOf(fields: LogFields): string {
  return Object.entries(fields)
    .filter(([key]) => key !== 'node' && key !== 'actor')
    .map(([key, value]) => `${key}=${String(value).split('\n')[0]}`)
    .join(' ');
}
