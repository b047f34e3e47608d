/** The segments of a journal, read in their order: the rows they hold, what is broken, where to go on writing. */
import type { JournalDamage } from './journal.ts';
import { SegmentIndex } from './segment-index.ts';
import { readSegment } from './segment-reader.ts';
import type { SegmentRecord } from './segment-record.ts';

export interface TornTail {
  readonly segment: number;
  /** From here on it was never acknowledged. */
  readonly start: number;
}

export class SegmentReplay {
  readonly index = new SegmentIndex();
  readonly #label: (segment: number) => string;
  #losses: Loss[] = [];
  #torn: (TornTail & { readonly end: number }) | null = null;
  /** Of the last whole record; null before the first. */
  #sequence: number | null = null;
  /** Of the last whole record; null where what follows cannot be checked against it. */
  #headerCrc: number | null = null;
  #lowest: number | null = null;
  #last = 0;
  #first = 1;
  #endedIn = 0;

  /** `label` names a segment for people. */
  constructor(label: (segment: number) => string) {
    this.#label = label;
  }

  /** The lowest segment that is still wanted; those below may be removed. */
  get first(): number {
    return this.#first;
  }

  /** What was never acknowledged, after `finish`. */
  get torn(): TornTail | null {
    return this.#torn;
  }

  /** For the next record. One is skipped where nobody knows how many there were. */
  get nextSequence(): number {
    return (this.#sequence ?? 0) + (this.isEndLost ? 2 : 1);
  }

  /** The next record's `previous`. */
  get headerCrc(): number {
    return this.#headerCrc ?? 0;
  }

  /** Nothing readable follows the last damage: the end of this journal cannot be built on. */
  get isEndLost(): boolean {
    return this.#losses.some(({ to }) => to === null);
  }

  get damage(): readonly JournalDamage[] {
    return this.#losses.map(({ from, to, where }) => ({ from, to, where }));
  }

  /** Segments come in ascending order of their numbers, each once. */
  take(number: number, bytes: Buffer): void {
    if (this.#lowest === null) this.#lowest = number;
    else if (number > this.#last + 1) this.#lose(this.#last + 1, `${this.#label(this.#last + 1)} is missing`);
    this.#last = number;
    for (const part of readSegment(bytes, (this.#sequence ?? 0) + 1)) {
      if (this.#torn !== null) {
        const { segment, start, end } = this.#torn;
        this.#lose(segment, `${this.#label(segment)} is cut short in bytes ${start} to ${end}, and more follows`);
        this.#torn = null;
      }
      if (part.type === 'record') this.#takeRecord(number, part.start, part.record);
      else if (part.isTorn) this.#torn = { segment: number, start: part.start, end: part.end };
      else this.#lose(number, `${this.#label(number)} is broken in bytes ${part.start} to ${part.end}`);
    }
  }

  /** After the last segment. */
  finish(): void {
    if (this.#lowest !== null && this.#lowest > this.#first) {
      const where = `${this.#label(this.#first)} is missing`;
      this.#losses.unshift({ segment: this.#first, from: 1, to: this.#sequence, where });
    }
    if (this.#endedIn !== 0 && this.#endedIn === this.#last) {
      this.#lose(this.#last + 1, `${this.#label(this.#last + 1)} is missing`);
    }
  }

  #takeRecord(segment: number, start: number, record: SegmentRecord): void {
    const { sequence, previous, headerCrc, operations, valueOffsets } = record;
    if (this.#sequence !== null && sequence <= this.#sequence) {
      this.#lose(segment, `${this.#label(segment)} holds an old record at byte ${start}`);
      return;
    }
    const isNext = this.#sequence === null || sequence === this.#sequence + 1;
    const isAfter = this.#headerCrc === null || previous === this.#headerCrc;
    if (!(isNext && isAfter) && !this.isEndLost) {
      this.#lose(segment, `${this.#label(segment)} does not go on at byte ${start} where the record before ended`);
    }
    this.#losses = this.#losses.map((loss) =>
      loss.to === null ? { ...loss, to: Math.max(loss.from, sequence - 1) } : loss,
    );
    this.#sequence = sequence;
    this.#headerCrc = headerCrc;
    this.index.apply(
      segment,
      start,
      operations,
      valueOffsets.map((offset) => offset - start),
    );
    for (const operation of operations) {
      if (operation.type === 'first') {
        this.#first = Math.max(this.#first, operation.segment);
        this.#losses = this.#losses.filter((loss) => loss.segment >= this.#first);
      } else if (operation.type === 'end') {
        this.#endedIn = segment;
      } else if (operation.type === 'seen') {
        this.#losses = [];
      }
    }
  }

  /** Until a whole record follows, the end of the loss is open. */
  #lose(segment: number, where: string): void {
    this.#headerCrc = null;
    this.#losses.push({ segment, from: (this.#sequence ?? 0) + 1, to: null, where });
  }
}

interface Loss extends JournalDamage {
  readonly segment: number;
}
