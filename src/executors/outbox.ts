import type { Finish } from './protocol.ts';
import { TailCopies, type TailDue } from './tail-copies.ts';

export interface OutboxLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
  /** Delay before a finish or tail is sent again: first, then doubled up to the maximum. */
  readonly resendMs: number;
  readonly resendMsMax: number;
  readonly messageFinishesMax: number;
  readonly messageBytesMax: number;
}

export const OUTBOX_LIMITS: OutboxLimits = {
  entriesMax: 50_000,
  bytesMax: 256 * 1024 * 1024,
  resendMs: 2_000,
  resendMsMax: 30_000,
  messageFinishesMax: 200,
  messageBytesMax: 256 * 1024,
};

interface Entry {
  readonly finish: Finish;
  readonly finishBytes: number;
  nextFinishMs: number;
  finishDelayMs: number;
}

/** An entry that the outbox has let go of: its rows can be deleted. */
export interface Released {
  readonly execution: string;
  readonly hadTail: boolean;
}

/**
 * What this node still owes the cluster: finishes until a committed entry acknowledges them, and their full tails until
 * enough servers hold them. A committed finish whose tail at least one server holds is *spare*: it is kept for the sake
 * of another copy, but holds up no stop, and goes first where room is short. A rule: times are passed in (monotonic
 * ms), sending and storing are the actor's.
 */
export class Outbox {
  readonly #limits: OutboxLimits;
  readonly #entries = new Map<string, Entry>();
  /** Least recently sent first. */
  readonly #unacknowledged = new Map<string, Entry>();
  readonly #tails: TailCopies;
  readonly #spare = new Set<string>();
  #bytes = 0;

  /** `own`: this node's id, where it is a server. */
  constructor(limits: OutboxLimits = OUTBOX_LIMITS, own: string | null = null) {
    this.#limits = limits;
    this.#tails = new TailCopies(limits, own);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Without what is spare: a node that stops waits for these. */
  get owed(): number {
    return this.#entries.size - this.#spare.size;
  }

  /** At the bound nothing more may start: its result could not be kept. */
  get isFull(): boolean {
    return this.#entries.size >= this.#limits.entriesMax || this.#bytes >= this.#limits.bytesMax;
  }

  has(execution: string): boolean {
    return this.#entries.has(execution);
  }

  /** Adds what is due at once. */
  add(finish: Finish): void {
    if (this.#entries.has(finish.execution)) return;
    const finishBytes = approximateBytes(finish);
    const { resendMs: finishDelayMs } = this.#limits;
    const entry = { finish, finishBytes, nextFinishMs: 0, finishDelayMs };
    this.#entries.set(finish.execution, entry);
    this.#unacknowledged.set(finish.execution, entry);
    if (finish.storedBytes > 0) this.#tails.add(finish.execution, finish.storedBytes);
    this.#bytes += finishBytes + finish.storedBytes;
  }

  /** A committed entry holds this finish. */
  acknowledge(execution: string, copiesWanted: number): Released | null {
    const entry = this.#entries.get(execution);
    if (entry === undefined) return null;
    this.#unacknowledged.delete(execution);
    return this.#settle(entry, copiesWanted);
  }

  /** A server holds the full tail. */
  stored(execution: string, server: string, copiesWanted: number): Released | null {
    this.#tails.stored(execution, server);
    const entry = this.#entries.get(execution);
    return entry === undefined ? null : this.#settle(entry, copiesWanted);
  }

  /** Makes this finish due again, e.g. because the leader asks for it. */
  hurry(execution: string): void {
    const entry = this.#entries.get(execution);
    if (entry !== undefined) entry.nextFinishMs = 0;
  }

  /** A new leader knows nothing of what was sent: everything is due again. */
  hurryAll(): void {
    for (const entry of this.#unacknowledged.values()) {
      entry.nextFinishMs = 0;
      entry.finishDelayMs = this.#limits.resendMs;
    }
  }

  /** The next message's worth of finishes that are due, at least one if any is; they count as sent. */
  takeDueFinishes(nowMs: number): readonly Finish[] {
    const due: Finish[] = [];
    let bytes = 0;
    for (const entry of this.#unacknowledged.values()) {
      if (entry.nextFinishMs > nowMs) continue;
      if (due.length > 0 && bytes + entry.finishBytes > this.#limits.messageBytesMax) break;
      due.push(entry.finish);
      bytes += entry.finishBytes;
      entry.nextFinishMs = nowMs + entry.finishDelayMs;
      entry.finishDelayMs = Math.min(2 * entry.finishDelayMs, this.#limits.resendMsMax);
      if (due.length === this.#limits.messageFinishesMax) break;
    }
    for (const { execution } of due) this.#moveToEnd(execution);
    return due;
  }

  /** Full tails that are due, and to whom, up to about `bytesMax` bytes of tails; they count as sent. */
  takeDueTails(nowMs: number, servers: readonly string[], copiesWanted: number, bytesMax: number): readonly TailDue[] {
    return this.#tails.takeDue(nowMs, servers, copiesWanted, bytesMax);
  }

  /** The servers in the cluster may have become fewer: lets go of what now is held by enough of them. */
  releaseStored(copiesWanted: number): readonly Released[] {
    const released: Released[] = [];
    for (const execution of this.#spare) {
      if (this.#tails.copies(execution) >= copiesWanted) released.push(...this.#releaseSpare(execution));
    }
    return released;
  }

  /** At the bound: lets go of what is spare, oldest first, until there is room. */
  makeRoom(): readonly Released[] {
    const released: Released[] = [];
    for (const execution of this.#spare) {
      if (!this.isFull) break;
      released.push(...this.#releaseSpare(execution));
    }
    return released;
  }

  #releaseSpare(execution: string): readonly Released[] {
    const entry = this.#entries.get(execution);
    return entry === undefined ? [] : [this.#release(entry)];
  }

  #settle(entry: Entry, copiesWanted: number): Released | null {
    const { execution } = entry.finish;
    if (this.#unacknowledged.has(execution)) return null;
    const copies = this.#tails.copies(execution);
    if (copies >= copiesWanted) return this.#release(entry);
    if (copies > 0) this.#spare.add(execution);
    return null;
  }

  #release({ finish, finishBytes }: Entry): Released {
    const { execution, storedBytes } = finish;
    this.#entries.delete(execution);
    this.#spare.delete(execution);
    this.#tails.delete(execution);
    this.#bytes -= finishBytes + storedBytes;
    return { execution, hadTail: storedBytes > 0 };
  }

  #moveToEnd(execution: string): void {
    const entry = this.#unacknowledged.get(execution);
    if (entry === undefined) return;
    this.#unacknowledged.delete(execution);
    this.#unacknowledged.set(execution, entry);
  }
}

/** Upper bound of the JSON text's size without making it: control characters grow sixfold, but are rare in output. */
function approximateBytes(finish: Finish): number {
  return (
    256 + finish.execution.length + finish.reason.length + 2 * finish.outputTail.length + (finish.result?.length ?? 0)
  );
}
