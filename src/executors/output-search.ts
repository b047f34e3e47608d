import { unreachable } from '../base/errors.ts';
import { OutputAssembly } from './output-assembly.ts';
import { chunksOf } from './output-chunks.ts';
import { OutputWaits } from './output-waits.ts';
import type { BetweenOutputs } from './protocol.ts';

export interface OutputSearchOptions {
  /** What lies on this server, durable or not yet. */
  readonly read: (execution: string) => Uint8Array | undefined;
  /** The other servers. */
  readonly others: () => readonly string[];
  /** May get lost. */
  readonly toServer: (server: string, message: BetweenOutputs) => void;
}

export interface OutputQuestion {
  readonly execution: string;
  /** It may still arrive from its node within this time. */
  readonly waitMs: number;
  /** The answer comes by then in any case. */
  readonly forMs: number;
}

type Done = (bytes: Uint8Array | null) => void;

const COPIES_BYTES_MAX = 16 * 1024 * 1024;
const WAITS_MAX = 1_000;
/** Another server keeps a question open no longer. */
const WAIT_MS_MAX = 1_000;

/**
 * Finds a full tail for a reader: here, else on another server. All others are asked at once; the first that has it
 * wins. A rule: times are passed in (monotonic ms), sending is handed in.
 */
export class OutputSearch {
  readonly #options: OutputSearchOptions;
  readonly #waits = new OutputWaits(WAITS_MAX);
  /** On their way here from other servers. */
  readonly #copies = new OutputAssembly(COPIES_BYTES_MAX);

  constructor(options: OutputSearchOptions) {
    this.#options = options;
  }

  /** Whether `expire` has to be called from time to time. */
  get isWaiting(): boolean {
    return this.#waits.size > 0;
  }

  /** `done` gets null where no server that answers in time has it. */
  find({ execution, waitMs, forMs }: OutputQuestion, nowMs: number, done: Done): void {
    const { read, others, toServer } = this.#options;
    const bytes = read(execution);
    if (bytes !== undefined) return done(bytes);
    const asked = new Set(others());
    if ((asked.size === 0 && waitMs <= 0) || this.#waits.isFull) return done(null);
    const times = { arrivalUntilMs: nowMs + waitMs, untilMs: nowMs + Math.max(waitMs, forMs) };
    this.#waits.add(execution, { asked, ...times, done });
    for (const server of [...asked]) toServer(server, { type: 'output-wanted', execution, waitMs });
  }

  hear(server: string, message: BetweenOutputs, nowMs: number): void {
    const { execution } = message;
    switch (message.type) {
      case 'output-wanted':
        return this.#answer(server, execution, Math.min(message.waitMs, WAIT_MS_MAX), nowMs);
      case 'output-missing':
        return this.#waits.missing(execution, server, nowMs);
      case 'output-copy': {
        // Nobody waits any more, or another server was quicker.
        if (!this.#waits.has(execution)) return this.#copies.drop(execution);
        const bytes = this.#copies.add(message);
        if (bytes !== null) this.arrived(execution, bytes);
        return;
      }
      default:
        return unreachable(message);
    }
  }

  arrived(execution: string, bytes: Uint8Array): void {
    this.#waits.tell(execution, bytes);
  }

  expire(nowMs: number): void {
    this.#waits.expire(nowMs);
  }

  #answer(server: string, execution: string, waitMs: number, nowMs: number): void {
    const { read, toServer } = this.#options;
    const done: Done = (bytes) => {
      if (bytes === null) return toServer(server, { type: 'output-missing', execution });
      for (const chunk of chunksOf(execution, bytes)) toServer(server, { ...chunk, type: 'output-copy' });
    };
    const bytes = read(execution);
    if (bytes !== undefined || waitMs <= 0 || this.#waits.isFull) return done(bytes ?? null);
    const untilMs = nowMs + waitMs;
    this.#waits.add(execution, { asked: new Set(), arrivalUntilMs: untilMs, untilMs, done });
  }
}
