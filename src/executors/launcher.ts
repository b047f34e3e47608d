import type { Readable } from 'node:stream';
import type { ChildCommand } from './shell-config.ts';

export interface LaunchListener {
  /** It runs, as leader of a session and group of its own; its output ends when nobody holds it open any more. */
  started(pid: number, outputs: readonly Readable[]): void;
  /** It could not be started; nothing else is called. */
  failed(text: string): void;
  /** Its leader has ended; its output may still come. */
  exited(exitCode: number | null, signal: string | null): void;
}

/** Starts child processes. Twins: `system-spawn-launcher.ts` (any command) and `system-sh-launcher.ts` (quicker). */
export interface Launcher {
  launch(command: ChildCommand, listener: LaunchListener): void;
  close(): void;
}
