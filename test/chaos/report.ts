/** What happened in a run, for people and as JSON. The last line runs it again. */
import type { FaultRecord } from './faults.ts';
import type { ChaosOptions } from './options.ts';
import type { FaultKind } from './plan.ts';
import type { RegisterCounts } from './register-load.ts';

export interface ChaosReport {
  readonly options: ChaosOptions;
  readonly commit: string;
  readonly loadMs: number;
  readonly faults: readonly FaultRecord[];
  /** That this machine does not allow, each with the reason. */
  readonly leftOut: Readonly<Partial<Record<FaultKind, string>>>;
  readonly registers: RegisterCounts;
  readonly handRuns: {
    readonly acknowledged: number;
    readonly unknown: number;
    readonly states: Readonly<Record<string, number>>;
  };
  readonly fires: { readonly count: number; readonly outcomes: string; readonly starts: number };
  /** Terms that went by while there was load. */
  readonly terms: number;
  readonly checkerWork: number;
  readonly violations: readonly string[];
}

/** JSON has them all. */
const VIOLATIONS_SHOWN_MAX = 30;

export function writeReport(report: ChaosReport): string {
  const { options, registers, handRuns, fires, violations } = report;
  const lines = [
    `chaos: seed ${options.seed}, commit ${report.commit}`,
    `${options.servers} servers, 2 agents, ${options.natsServers} nats-server, ${seconds(report.loadMs)} s of load`,
    '',
    `${report.faults.length} faults, seconds since the load began:`,
    ...report.faults.map(describeFault),
    ...Object.entries(report.leftOut).map(([kind, reason]) => `  left out   ${kind}: ${reason}`),
    '',
    `writes     ${registers.acknowledged} acknowledged, ${registers.refused} refused, ${registers.unknown} unknown`,
    `reads      ${registers.reads}`,
    `by hand    ${handRuns.acknowledged} acknowledged (${describeCounts(handRuns.states)}), ${handRuns.unknown} not`,
    `fires      ${fires.count}: ${fires.outcomes}`,
    `starts     ${fires.starts}`,
    `terms      ${report.terms}`,
    `checker    ${report.checkerWork} steps`,
    '',
    ...violations.slice(0, VIOLATIONS_SHOWN_MAX).map((text) => `VIOLATION  ${text}`),
    violations.length === 0 ? 'no violation' : `${violations.length} violations`,
    `again: ${replayLine(options)}`,
  ];
  return lines.join('\n');
}

export function replayLine(options: ChaosOptions): string {
  const { seed, minutes, servers, natsServers, faults } = options;
  const only = faults === null ? '' : ` --faults ${faults.join(',')}`;
  return `npm run chaos -- --seed ${seed} --minutes ${minutes} --servers ${servers} --nats ${natsServers}${only}`;
}

function describeFault({ kind, target, fromMs, toMs, outcome }: FaultRecord): string {
  const span = `${seconds(fromMs)}–${seconds(toMs)}`;
  return `  ${span.padEnd(14)} ${kind.padEnd(15)} ${(target ?? '-').padEnd(12)} ${outcome}`;
}

function describeCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name}×${count}`)
    .join(' ');
}

function seconds(ms: number): string {
  return (ms / 1_000).toFixed(1);
}
