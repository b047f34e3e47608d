/** Carries out what was planned: finds whom it hits, does it, waits, undoes it, and says what came of it. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ChaosCluster } from './chaos-cluster.ts';
import type { NodeProcess } from './node-process.ts';
import type { FaultKind, PlannedFault } from './plan.ts';
import { STORAGE_ENDS } from './promises.ts';
import { SyscallFault } from './syscall-fault.ts';

export interface FaultRecord {
  readonly kind: FaultKind;
  /** Null: everybody it could have hit had another fault just then. */
  readonly target: string | null;
  /** Since the load began. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly outcome: string;
}

export interface FaultsOptions {
  readonly cluster: ChaosCluster;
  readonly strace: string | undefined;
  readonly directory: string;
  /** Since the load began. */
  readonly elapsedMs: () => number;
  /** What a fault itself shows to be wrong. */
  readonly onViolation: (text: string) => void;
}

export class Faults {
  readonly #options: FaultsOptions;
  readonly #records: FaultRecord[] = [];
  #natsFault: string | null = null;

  constructor(options: FaultsOptions) {
    this.#options = options;
  }

  get records(): readonly FaultRecord[] {
    return [...this.#records].sort((left, right) => left.fromMs - right.fromMs);
  }

  async carryOut(fault: PlannedFault): Promise<void> {
    const fromMs = Math.round(this.#options.elapsedMs());
    const done = await this.#perform(fault);
    const toMs = Math.round(this.#options.elapsedMs());
    const { target, outcome } = done ?? { target: null, outcome: 'left out: whom it could hit had other faults' };
    this.#records.push({ kind: fault.kind, target, fromMs, toMs, outcome });
  }

  #perform(fault: PlannedFault): Promise<Done | undefined> {
    switch (fault.kind) {
      case 'kill-leader':
      case 'kill-follower':
      case 'kill-agent':
        return this.#onNode(fault, (node) => kill(node, fault));
      case 'pause-leader':
      case 'pause-follower':
      case 'pause-agent':
        return this.#onNode(fault, (node) => pauseNode(node, fault));
      case 'nats-kill':
      case 'nats-kill-one':
        return this.#killNats(fault);
      case 'disk-full':
        return this.#onNode(fault, (node) => this.#fillDisk(node, fault));
      case 'fsync-error':
        return this.#onNode(fault, (node) => this.#failSync(node, fault));
      case 'fsync-slow':
        return this.#onNode(fault, (node) => this.#slowSync(node, fault));
      case 'cut-outward':
      case 'cut-inward':
        return this.#onNode(fault, (node) => this.#cut(node, fault));
      case 'clock-ahead':
      case 'clock-behind':
        return this.#onNode(fault, () => this.#moveClock(fault));
    }
  }

  async #onNode(fault: PlannedFault, act: (node: NodeProcess) => Promise<string>): Promise<Done | undefined> {
    const leader = await this.#options.cluster.leader();
    const free = this.#candidates(fault.kind, leader).filter((node) => node.isUp && node.fault === null);
    const node = free[Math.floor(fault.draw * free.length)];
    if (node === undefined) return undefined;
    node.fault = fault.kind;
    try {
      const outcome = await act(node);
      return { target: node === leader ? `${node.name} (leader)` : node.name, outcome };
    } finally {
      node.fault = null;
    }
  }

  #candidates(kind: FaultKind, leader: NodeProcess | undefined): readonly NodeProcess[] {
    const { servers, agents, clockServer, tinyDisk } = this.#options.cluster;
    switch (kind) {
      case 'kill-leader':
      case 'pause-leader':
        return leader === undefined ? servers : [leader];
      case 'kill-follower':
      case 'pause-follower':
        return servers.filter((node) => node !== leader);
      case 'kill-agent':
      case 'pause-agent':
        return agents;
      case 'disk-full':
        return tinyDisk === undefined ? [] : servers.slice(0, 1);
      case 'clock-ahead':
      case 'clock-behind':
        return clockServer === undefined ? [] : [clockServer];
      default:
        return servers;
    }
  }

  async #killNats({ kind, durationMs, draw }: PlannedFault): Promise<Done | undefined> {
    const { nats } = this.#options.cluster;
    if (this.#natsFault !== null) return undefined;
    this.#natsFault = kind;
    const all = Array.from({ length: nats.count }, (_unused, number) => number);
    const hit = kind === 'nats-kill' ? all : [Math.floor(draw * nats.count)];
    try {
      await Promise.all(hit.map((number) => nats.kill(number)));
      await pause(durationMs);
      await Promise.all(hit.map((number) => nats.start(number)));
    } finally {
      this.#natsFault = null;
    }
    return { target: hit.map((number) => `n${number + 1}`).join(' '), outcome: `down for ${seconds(durationMs)}` };
  }

  async #fillDisk(node: NodeProcess, { durationMs }: PlannedFault): Promise<string> {
    const { tinyDisk } = this.#options.cluster;
    node.mayFailStorage = true;
    try {
      await tinyDisk?.fill();
      await Promise.race([node.ended, pause(durationMs)]);
    } finally {
      await tinyDisk?.free();
    }
    return this.#startAgain(node, 'had no need to write');
  }

  async #failSync(node: NodeProcess, { durationMs }: PlannedFault): Promise<string> {
    node.mayFailStorage = true;
    const syscall = this.#onSyscalls(node, 'error=EIO');
    await Promise.race([node.ended, pause(durationMs)]);
    const { injected, said } = await syscall.detach();
    if (node.isUp && injected > 0) {
      await Promise.race([node.ended, pause(2_000)]);
      if (node.isUp) this.#options.onViolation(`${node.life} went on after ${injected} syncs had failed`);
    }
    return `${injected} syncs failed${said}; ${await this.#startAgain(node, 'went on')}`;
  }

  async #slowSync(node: NodeProcess, { durationMs, draw }: PlannedFault): Promise<string> {
    const delayMs = 20 + Math.round(draw * 300);
    const syscall = this.#onSyscalls(node, `delay_enter=${delayMs * 1_000}`);
    await pause(durationMs);
    const { injected, said } = await syscall.detach();
    return `${injected} syncs took ${delayMs} ms longer${said}`;
  }

  #onSyscalls(node: NodeProcess, injection: string): SyscallFault {
    const { strace = '', directory } = this.#options;
    return new SyscallFault({ strace, pid: node.pid, injection, directory });
  }

  /** Once its storage is well. */
  async #startAgain(node: NodeProcess, otherwise: string): Promise<string> {
    if (node.isUp) {
      // What it met on the way may still end it.
      await Promise.race([node.ended, pause(1_500)]);
    }
    const hasEnded = !node.isUp;
    const { code, signal } = await (hasEnded ? node.ended : { code: null, signal: null });
    node.mayFailStorage = false;
    // Any other end is a violation, after which it is started by whoever tells of it.
    if (hasEnded && STORAGE_ENDS.has(code ?? signal)) node.start();
    return hasEnded ? `it ended with ${signal ?? `exit code ${code}`}` : `it ${otherwise}`;
  }

  async #cut(node: NodeProcess, { kind, durationMs }: PlannedFault): Promise<string> {
    const { network, nats } = this.#options.cluster;
    const direction = kind === 'cut-outward' ? 'outward' : 'inward';
    await network.cut(node.spec.number, direction, nats.ports);
    try {
      await pause(durationMs);
    } finally {
      await network.mend(node.spec.number, direction, nats.ports);
    }
    return `nothing ${kind === 'cut-outward' ? 'to' : 'from'} NATS for ${seconds(durationMs)}`;
  }

  async #moveClock({ kind, durationMs, draw }: PlannedFault): Promise<string> {
    const { cluster } = this.#options;
    const size = JUMPS_SECONDS[Math.floor(draw * JUMPS_SECONDS.length)] ?? 0;
    const offset = kind === 'clock-ahead' ? size : -size;
    await cluster.setClock(offset);
    try {
      await pause(durationMs);
    } finally {
      await cluster.setClock(0);
    }
    return `off by ${offset} s for ${seconds(durationMs)}`;
  }
}

interface Done {
  readonly target: string;
  readonly outcome: string;
}

const JUMPS_SECONDS = [8, 30, 3_600, 86_400];

async function kill(node: NodeProcess, { durationMs }: PlannedFault): Promise<string> {
  await node.kill();
  await pause(durationMs);
  if (!node.isUp) node.start();
  return `killed, started again after ${seconds(durationMs)}`;
}

async function pauseNode(node: NodeProcess, { durationMs }: PlannedFault): Promise<string> {
  node.signal('SIGSTOP');
  await pause(durationMs);
  node.signal('SIGCONT');
  return `stood still for ${seconds(durationMs)}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
