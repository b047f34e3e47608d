/** What must not outlive the process, whatever ends it: removed at once when it exits, unless it was removed before. */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Leftover {
  /** It has been removed in order. */
  forget(): void;
}

/** Makes the directory, so that there is no moment at which it exists and nobody would remove it. */
export function temporaryDirectory(prefix: string): Leftover & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), prefix));
  return { path, ...atExit(() => rmSync(path, { recursive: true, force: true, maxRetries: 3, retryDelay: 20 })) };
}

export function mortalChild(child: ChildProcess): Leftover {
  return atExit(() => child.kill('SIGKILL'));
}

function atExit(remove: () => void): Leftover {
  const onExit = () => {
    try {
      remove();
    } catch (error) {
      // The others still have to go.
      process.stderr.write(`carillon dev: ${(error as Error).message}\n`);
    }
  };
  process.once('exit', onExit);
  return { forget: () => void process.off('exit', onExit) };
}
