import { Faults } from './faults.ts';
import type { HintCounts } from './hints.ts';
import { Membership, type MembershipCounts } from './membership.ts';
import { Operator, type OperatorCounts } from './operator.ts';
import { drawPlan, type Plan } from './plan.ts';
import { type ReadCounts, Reads } from './reads.ts';
import { recover } from './recovery.ts';
import { Registers } from './registers.ts';
import { Violation } from './violation.ts';
import { Workload, type WorkloadCounts } from './workload.ts';
import { World } from './world.ts';

export interface SimulationOptions {
  readonly seed: number;
  /** With faults; the recovery comes on top. Default 20,000. */
  readonly events?: number;
  /** Instead of a number of events. */
  readonly virtualMs?: number;
  /** Default: drawn from the seed. */
  readonly plan?: Plan;
  readonly sink?: (line: string) => void;
}

export interface SimulationReport {
  readonly seed: number;
  readonly events: number;
  readonly virtualMs: number;
  readonly entries: number;
  readonly starts: number;
  readonly elections: number;
  readonly counts: WorkloadCounts;
  readonly hints: HintCounts;
  readonly operator: OperatorCounts;
  readonly membership: MembershipCounts;
  readonly reads: ReadCounts;
  readonly digest: string;
  readonly failure: { readonly message: string; readonly lastLines: string } | null;
}

export const EVENTS_DEFAULT = 20_000;

/** One seed: a cluster under faults for so many events, then without any until everything has come to rest. */
export async function simulate(options: SimulationOptions): Promise<SimulationReport> {
  const { seed, events = EVENTS_DEFAULT, virtualMs, plan = drawPlan(seed), sink } = options;
  const world = new World({ seed, plan, ...(sink === undefined ? {} : { sink }) });
  const workload = new Workload(world);
  const faults = new Faults(world);
  const operator = new Operator(world);
  const membership = new Membership(world);
  const reads = new Reads(world);
  const registers = new Registers(world);
  let failure: SimulationReport['failure'] = null;
  try {
    for (const node of world.nodes) node.start();
    workload.start();
    faults.start();
    operator.start();
    membership.start();
    reads.start();
    registers.start();
    await (virtualMs === undefined ? world.run(() => world.events >= events) : world.runFor(virtualMs));
    faults.isStopped = true;
    operator.isStopped = true;
    workload.isStopped = true;
    membership.isStopped = true;
    reads.isStopped = true;
    registers.isStopped = true;
    world.calm();
    await recover({ world, workload, operator, membership, reads });
    registers.judge();
  } catch (error) {
    if (!(error instanceof Violation)) throw error;
    failure = { message: error.message, lastLines: world.trace.lastLines() };
  }
  return {
    seed,
    events: world.events,
    virtualMs: world.clock.monotonic(),
    entries: world.invariants.lastIndex,
    starts: world.invariants.starts.size,
    elections: world.invariants.elections,
    counts: workload.counts,
    hints: world.hints.counts,
    operator: operator.counts,
    membership: membership.counts,
    reads: reads.counts,
    digest: world.trace.digest(),
    failure,
  };
}
