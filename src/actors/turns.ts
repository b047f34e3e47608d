/**
 * The port through which an actor system gets its turns. In a turn it delivers messages for some milliseconds, and
 * asks for the next turn if there are more. Production uses `system-turns.ts`, tests and the simulator
 * `virtual-turns.ts`.
 */
export interface Turns {
  /** Calls `run` once, soon, and never before the caller has returned. */
  schedule(run: () => void): void;
}
