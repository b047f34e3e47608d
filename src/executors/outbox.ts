import type { Finish } from './protocol.ts';

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
  acknowledged: boolean;
  readonly storedBy: Set<string>;
  nextFinishMs: number;
  finishDelayMs: number;
  nextTailMs: number;
  tailDelayMs: number;
}

/** An entry that the outbox has let go of: its rows can be deleted. */
export interface Released {
  readonly execution: string;
  readonly hadTail: boolean;
}

/**
 * What this node still owes the cluster: finishes until a committed entry acknowledges them, and their full tails until
 * enough servers hold them. A rule: times are passed in (monotonic ms), sending and storing are the actor's.
 */
export class Outbox {
  readonly #limits: OutboxLimits;
  /** Least recently sent first. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;
  #unacknowledged = 0;

  constructor(limits: OutboxLimits = OUTBOX_LIMITS) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  get unacknowledged(): number {
    return this.#unacknowledged;
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
    this.#entries.set(finish.execution, {
      finish,
      finishBytes,
      acknowledged: false,
      storedBy: new Set(),
      nextFinishMs: 0,
      finishDelayMs: this.#limits.resendMs,
      nextTailMs: 0,
      tailDelayMs: this.#limits.resendMs,
    });
    this.#bytes += finishBytes + finish.storedBytes;
    this.#unacknowledged += 1;
  }

  /** A committed entry holds this finish. */
  acknowledge(execution: string, serversWanted: number): Released | null {
    const entry = this.#entries.get(execution);
    if (entry === undefined) return null;
    if (!entry.acknowledged) {
      entry.acknowledged = true;
      this.#unacknowledged -= 1;
    }
    return this.#release(entry, serversWanted);
  }

  /** A server holds the full tail. */
  stored(execution: string, server: string, serversWanted: number): Released | null {
    const entry = this.#entries.get(execution);
    if (entry === undefined) return null;
    entry.storedBy.add(server);
    return this.#release(entry, serversWanted);
  }

  /** Makes this finish due again, e.g. because the leader asks for it. */
  hurry(execution: string): void {
    const entry = this.#entries.get(execution);
    if (entry !== undefined) entry.nextFinishMs = 0;
  }

  /** A new leader knows nothing of what was sent: everything is due again. */
  hurryAll(): void {
    for (const entry of this.#entries.values()) {
      entry.nextFinishMs = 0;
      entry.finishDelayMs = this.#limits.resendMs;
    }
  }

  /** The next message's worth of finishes that are due, at least one if any is; they count as sent. */
  takeDueFinishes(nowMs: number): readonly Finish[] {
    const due: Finish[] = [];
    let bytes = 0;
    for (const entry of this.#entries.values()) {
      if (entry.acknowledged || entry.nextFinishMs > nowMs) continue;
      if (due.length > 0 && bytes + entry.finishBytes > this.#limits.messageBytesMax) break;
      due.push(entry.finish);
      bytes += entry.finishBytes;
      entry.nextFinishMs = nowMs + entry.finishDelayMs;
      entry.finishDelayMs = Math.min(2 * entry.finishDelayMs, this.#limits.resendMsMax);
      if (due.length === this.#limits.messageFinishesMax) break;
    }
    return due;
  }

  /** Executions whose full tail is due, in order, up to about `bytesMax` bytes; they count as sent. */
  takeDueTails(nowMs: number, serversWanted: number, bytesMax: number): readonly string[] {
    const due: string[] = [];
    let bytes = 0;
    for (const entry of this.#entries.values()) {
      if (bytes >= bytesMax) break;
      if (!isTailWanted(entry, serversWanted) || entry.nextTailMs > nowMs) continue;
      due.push(entry.finish.execution);
      bytes += entry.finish.storedBytes;
      entry.nextTailMs = nowMs + entry.tailDelayMs;
      entry.tailDelayMs = Math.min(2 * entry.tailDelayMs, this.#limits.resendMsMax);
    }
    return due;
  }

  /** The servers in the cluster may have become fewer: lets go of what now is held by enough of them. */
  releaseStored(serversWanted: number): readonly Released[] {
    const released: Released[] = [];
    for (const entry of [...this.#entries.values()]) {
      if (!entry.acknowledged || entry.finish.storedBytes === 0) continue;
      const one = this.#release(entry, serversWanted);
      if (one !== null) released.push(one);
    }
    return released;
  }

  #release(entry: Entry, serversWanted: number): Released | null {
    if (!entry.acknowledged || isTailWanted(entry, serversWanted)) return null;
    const { execution, storedBytes } = entry.finish;
    this.#entries.delete(execution);
    this.#bytes -= entry.finishBytes + storedBytes;
    return { execution, hadTail: storedBytes > 0 };
  }
}

function isTailWanted(entry: Entry, serversWanted: number): boolean {
  return entry.finish.storedBytes > 0 && entry.storedBy.size < serversWanted;
}

/** Upper bound of the JSON text's size without making it: control characters grow sixfold, but are rare in output. */
function approximateBytes(finish: Finish): number {
  return (
    256 + finish.execution.length + finish.reason.length + 2 * finish.outputTail.length + (finish.result?.length ?? 0)
  );
}
