import type { ActorRef } from '../../src/actors/actor.ts';
import { ActorSystem } from '../../src/actors/system.ts';
import { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import { seededRandom } from '../../src/base/random.ts';
import { noMetrics, silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { Ending, Executor, Task } from '../../src/executors/executor.ts';
import { createExecutorActor } from '../../src/executors/executor-actor.ts';
import type { ExecutorAnswer, ExecutorMessage } from '../../src/executors/executor-message.ts';
import type { ExecutorActorOptions } from '../../src/executors/executor-options.ts';
import { openNodeStore } from '../../src/executors/node-store.ts';
import type { ExecuteItem, Finish, FromNode, OutputChunk } from '../../src/executors/protocol.ts';
import { MemoryDatabase } from '../../src/store/memory-storage.ts';

/** Ends an attempt when the test says so. */
export class FakeExecutor implements Executor {
  readonly started: Task[] = [];
  readonly cancelled: string[] = [];
  readonly #running = new Map<string, (ending: Ending) => void>();

  start(task: Task, ended: (ending: Ending) => void): void {
    this.started.push(task);
    this.#running.set(task.execution, ended);
  }

  cancel(execution: string): void {
    this.cancelled.push(execution);
  }

  end(execution: string, change: Partial<Ending> = {}): void {
    const ended = this.#running.get(execution);
    if (ended === undefined) throw new Error(`${execution} is not running`);
    this.#running.delete(execution);
    ended(endingOf(change));
  }

  async close(): Promise<void> {}
}

export function endingOf(change: Partial<Ending> = {}): Ending {
  const output = new Uint8Array(0);
  const base: Ending = {
    outcome: 'succeeded',
    reason: '',
    exitCode: 0,
    signal: null,
    result: null,
    output,
    outputBytes: change.output?.length ?? 0,
  };
  return { ...base, ...change };
}

/** One node's executor actor in virtual time, over a disk that survives `restart`. */
export class ExecutorWorld {
  readonly clock = new VirtualClock();
  readonly turns = new VirtualTurns();
  readonly executor = new FakeExecutor();
  readonly toLeader: { leader: string; message: FromNode }[] = [];
  readonly chunks: { server: string; chunk: OutputChunk }[] = [];
  readonly stops: unknown[] = [];
  readonly database: MemoryDatabase;
  writeDelayMs = 1;
  servers = ['s1', 's2', 's3'];
  actor!: ActorRef<ExecutorMessage, ExecutorAnswer>;
  #boot = 0;
  #options: Partial<ExecutorActorOptions>;

  constructor(options: Partial<ExecutorActorOptions> = {}) {
    this.#options = options;
    this.database = new MemoryDatabase({
      label: 'node',
      clock: this.clock,
      writeDelayMs: () => this.writeDelayMs,
    });
  }

  static async start(options: Partial<ExecutorActorOptions> = {}): Promise<ExecutorWorld> {
    const world = new ExecutorWorld(options);
    await world.boot();
    return world;
  }

  /** Started, and welcomed by leader `n1` with session 10. */
  static async welcomed(options: Partial<ExecutorActorOptions> = {}): Promise<ExecutorWorld> {
    const world = await ExecutorWorld.start(options);
    world.beacon();
    world.welcome(10);
    world.toLeader.length = 0;
    return world;
  }

  async boot(): Promise<void> {
    this.#boot += 1;
    const storage = this.database.open();
    const reading = openNodeStore(storage);
    let isRead = false;
    const settle = (): void => {
      isRead = true;
    };
    reading.then(settle, settle);
    while (!isRead) {
      this.advance(0);
      await null;
    }
    const system = new ActorSystem({
      thread: 'main',
      clock: this.clock,
      random: seededRandom(1),
      log: silentLog,
      metrics: noMetrics,
      turns: this.turns,
      onStopProcess: (error) => this.stops.push(error),
    });
    this.actor = system.spawn({
      name: 'executor',
      supervision: { type: 'stop-process' },
      create: createExecutorActor({
        node: 'a1',
        boot: this.#boot,
        name: 'agent-one',
        isServer: false,
        tags: { role: 'web' },
        slots: 2,
        version: '0.1.0',
        address: '',
        executors: new Map([['shell', this.executor]]),
        storage,
        stored: await reading,
        toLeader: (leader, message) => this.toLeader.push({ leader, message }),
        toServer: (server, chunk) => this.chunks.push({ server, chunk }),
        servers: () => this.servers,
        ...this.#options,
      }),
    });
    this.turns.runAll();
  }

  /** The process is killed: what was not durable is gone. */
  async restart(): Promise<void> {
    this.database.crash(() => 0, 'any-subset');
    this.toLeader.length = 0;
    await this.boot();
  }

  send(message: ExecutorMessage): void {
    this.actor.send(message);
    this.turns.runAll();
  }

  beacon(leader = 'n1', term = 1): void {
    this.send({ type: 'beacon', leader, term });
  }

  /** Without `echoMs` it answers what the node would say now. */
  welcome(session: number, leader = 'n1', echoMs = this.clock.monotonic()): void {
    this.send({ type: 'welcome', leader, boot: this.#boot, session, echoMs });
  }

  execute(...items: readonly ExecuteItem[]): void {
    this.send({ type: 'execute', leader: 'n1', items });
  }

  item(execution: string, change: Partial<ExecuteItem> = {}): ExecuteItem {
    return {
      execution,
      run: 'run',
      job: 'job',
      attempt: 1,
      fence: 100,
      scheduledAtMs: null,
      executor: 'shell',
      config: {},
      session: 10,
      notBeforeMs: 0,
      startByMs: this.clock.now() + 60_000,
      ...change,
    };
  }

  end(execution: string, change: Partial<Ending> = {}): void {
    this.executor.end(execution, change);
    this.turns.runAll();
  }

  /** Moves time on; every mailbox is empty after each timer. */
  advance(delayMs: number): void {
    const untilMs = this.clock.monotonic() + delayMs;
    this.turns.runAll();
    for (let dueMs = this.clock.nextDueMs; dueMs !== undefined && dueMs <= untilMs; dueMs = this.clock.nextDueMs) {
      this.clock.runNext();
      this.turns.runAll();
    }
    this.clock.advance(untilMs - this.clock.monotonic());
  }

  /** All finishes said so far, repetitions included. */
  finishes(): Finish[] {
    return this.toLeader.flatMap(({ message }) => (message.type === 'finish' ? message.finishes : []));
  }

  saidTypes(): string[] {
    return this.toLeader.map(({ message }) => message.type);
  }

  startedIds(): string[] {
    return this.executor.started.map((task) => task.execution);
  }

  /** The servers that chunks went to since the last look, each once. */
  takeReceivers(): string[] {
    const servers = new Set(this.chunks.map(({ server }) => server));
    this.chunks.length = 0;
    return [...servers];
  }

  state(): Extract<ExecutorAnswer, { type: 'state' }> {
    let state: ExecutorAnswer | undefined;
    this.actor.ask({ type: 'inspect' }, 1_000, (outcome) => {
      if (outcome.type === 'answer') state = outcome.answer;
    });
    this.turns.runAll();
    if (state?.type !== 'state') throw new Error('no answer to inspect');
    return state;
  }

  rows(): number {
    return this.database.size;
  }
}
