/** What the kernel says of processes: memory and time of a whole tree, and how busy the machine is. Linux only. */
import { readdirSync, readFileSync } from 'node:fs';

export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly command: string;
  readonly residentBytes: number;
  /** User and system time of the process and of its children that have ended and were waited for. */
  readonly cpuMs: number;
}

/** The process and all that descend from it, itself first; without those that are gone. */
export function processTree(root: number): readonly ProcessFacts[] {
  const all = new Map<number, ProcessFacts>();
  for (const name of readdirSync('/proc')) {
    const facts = /^[0-9]+$/.test(name) ? readFacts(Number(name)) : undefined;
    if (facts !== undefined) all.set(facts.pid, facts);
  }
  const isInside = (facts: ProcessFacts): boolean => {
    if (facts.pid === root) return true;
    const parent = all.get(facts.parent);
    return parent !== undefined && isInside(parent);
  };
  return [...all.values()]
    .filter(isInside)
    .sort((left, right) => Number(right.pid === root) - Number(left.pid === root));
}

export function treeCpuMs(root: number): number {
  return processTree(root).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

export interface MachineTime {
  readonly busyMs: number;
  readonly totalMs: number;
}

/** Of all cores together, since boot. */
export function machineTime(): MachineTime {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n', 1);
  const fields = line.trim().split(/ +/).slice(1, 9).map(Number);
  const totalMs = fields.reduce((sum, ticks) => sum + ticks, 0) * TICK_MS;
  const idleMs = ((fields[3] ?? 0) + (fields[4] ?? 0)) * TICK_MS;
  return { busyMs: totalMs - idleMs, totalMs };
}

/** USER_HZ is 100 on every Linux that Node runs on. */
const TICK_MS = 10;
const PAGE_BYTES = 4_096;

function readFacts(pid: number): ProcessFacts | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold anything, parentheses too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ticks = [11, 12, 13, 14].reduce((sum, field) => sum + Number(fields[field]), 0);
    return {
      pid,
      parent: Number(fields[1]),
      command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim(),
      residentBytes: Number(fields[21]) * PAGE_BYTES,
      cpuMs: ticks * TICK_MS,
    };
  } catch {
    // It ended between the listing and the look.
    return undefined;
  }
}
