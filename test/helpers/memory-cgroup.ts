import { accessSync, constants, mkdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface MemoryCgroup {
  /** Put in front of a command, it runs with all its children inside the limit. */
  readonly command: readonly [string, ...string[]];
  /** Once nothing runs in it any more. */
  remove(): void;
}

/**
 * A limit of the kernel around a process and its children, so that a failing test cannot take the machine's memory.
 * Null where this user may not make one: the caller says so.
 */
export function makeMemoryCgroup(name: string, bytesMax: number): MemoryCgroup | null {
  for (const [root, file] of HIERARCHIES) {
    const directory = join(root, `${name}-${process.pid}`);
    try {
      mkdirSync(directory);
      accessSync(join(directory, file), constants.W_OK);
      writeFileSync(join(directory, file), String(bytesMax));
    } catch {
      // Another version of cgroups, or not allowed here; the next hierarchy may do.
      remove(directory);
      continue;
    }
    const script = 'echo $$ > "$0/cgroup.procs" && exec "$@"';
    return { command: ['/bin/sh', '-c', script, directory], remove: () => remove(directory) };
  }
  return null;
}

const HIERARCHIES = [
  ['/sys/fs/cgroup/memory', 'memory.limit_in_bytes'],
  ['/sys/fs/cgroup', 'memory.max'],
] as const;

function remove(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // It was never made, or a process in it has not quite gone; an empty group costs nothing.
  }
}
