import { readdirSync, readFileSync } from 'node:fs';

/** A process of this machine, as far as limits need it. */
export interface ProcessFacts {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly isZombie: boolean;
  readonly residentBytes: number;
}

/** All processes; empty where there is no /proc. */
export function listProcesses(): readonly ProcessFacts[] {
  let names: string[];
  try {
    names = readdirSync('/proc');
  } catch {
    return [];
  }
  const processes: ProcessFacts[] = [];
  for (const name of names) {
    if (!/^[0-9]+$/.test(name)) continue;
    const facts = readProcess(Number(name));
    if (facts !== undefined) processes.push(facts);
  }
  return processes;
}

/**
 * What belongs to the run that `leader` leads: its session, its group, and its descendants, also those that made a
 * session of their own while their parents live. Who forks twice and leaves the session is not found.
 */
export function membersOf(leader: number, processes: readonly ProcessFacts[]): readonly ProcessFacts[] {
  const members = new Map<number, ProcessFacts>();
  let before = -1;
  while (members.size !== before) {
    before = members.size;
    for (const process of processes) {
      const isMember =
        process.session === leader || process.group === leader || process.pid === leader || members.has(process.parent);
      if (isMember) members.set(process.pid, process);
    }
  }
  return [...members.values()].filter((process) => !process.isZombie);
}

/** False if there is no such process or group (negative pid) any more. */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    // ESRCH: gone already. EPERM: it has changed its user, and is out of our hands.
    return false;
  }
}

function readProcess(pid: number): ProcessFacts | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in brackets may hold blanks and brackets; what follows the last one is numbers.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return {
      pid,
      parent: Number(fields[1]),
      group: Number(fields[2]),
      session: Number(fields[3]),
      isZombie: fields[0] === 'Z' || fields[0] === 'X',
      residentBytes: Number(fields[21]) * 4096,
    };
  } catch {
    // It ended between the two reads.
    return undefined;
  }
}
