/** Where each row of a journal lies: key to segment and place, with the bytes of short values at hand. */
import { crc32 } from 'node:zlib';
import type { SegmentOperation } from './segment-record.ts';
import { type SortedRow, SortedRows } from './sorted-rows.ts';
import type { ScanRange } from './storage.ts';

export interface RowPlace {
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  readonly crc: number;
  /** Null if it must be read from the file. */
  readonly value: Uint8Array | null;
}

export interface SegmentUse {
  readonly rows: number;
  /** Of keys and values that are still wanted. */
  readonly bytes: number;
}

export class SegmentIndex {
  #rows = new SortedRows<RowPlace>();
  readonly #uses = new Map<number, SegmentUse>();
  #liveBytes = 0;

  /** Of all segments. */
  get liveBytes(): number {
    return this.#liveBytes;
  }

  use(segment: number): SegmentUse {
    return this.#uses.get(segment) ?? UNUSED;
  }

  get(key: string): RowPlace | undefined {
    return this.#rows.get(key);
  }

  scan(range: ScanRange): readonly SortedRow<RowPlace>[] {
    return this.#rows.scan(range);
  }

  /** A frozen view. */
  rows(): SortedRows<RowPlace> {
    return this.#rows.copy();
  }

  rowsIn(segment: number): readonly SortedRow<RowPlace>[] {
    return this.#rows.scan(EVERYTHING).filter(({ value }) => value.segment === segment);
  }

  /** A durable record in `segment`, which starts at `start` there; `valueOffsets` count from `start`. */
  apply(
    segment: number,
    start: number,
    operations: readonly SegmentOperation[],
    valueOffsets: readonly number[],
  ): void {
    for (const [position, operation] of operations.entries()) {
      if (operation.type === 'put') {
        const { key, value } = operation;
        const length = value.byteLength;
        const place: RowPlace = {
          segment,
          offset: start + (valueOffsets[position] as number),
          length,
          crc: crc32(value),
          value: length <= MEMORY_VALUE_BYTES_MAX ? owned(value) : null,
        };
        this.#forget(key);
        this.#rows.put(key, place);
        this.#count(segment, 1, rowBytes(key, length));
      } else if (operation.type === 'delete') {
        this.#forget(operation.key);
        this.#rows.delete(operation.key);
      } else if (operation.type === 'first') {
        this.#dropBelow(operation.segment);
      }
    }
  }

  /**
   * What is still wanted was written again before. Anything else that lies there was deleted in a segment that is gone
   * already: it must not come back.
   */
  #dropBelow(segment: number): void {
    for (const number of this.#uses.keys()) {
      if (number >= segment) continue;
      for (const { key } of this.rowsIn(number)) {
        this.#forget(key);
        this.#rows.delete(key);
      }
      this.#uses.delete(number);
    }
  }

  #forget(key: string): void {
    const place = this.#rows.get(key);
    if (place !== undefined) this.#count(place.segment, -1, -rowBytes(key, place.length));
  }

  #count(segment: number, rows: number, bytes: number): void {
    const use = this.use(segment);
    this.#uses.set(segment, { rows: use.rows + rows, bytes: use.bytes + bytes });
    this.#liveBytes += bytes;
  }
}

/** A short value must not keep a large buffer alive. */
function owned(value: Uint8Array): Uint8Array {
  return value.buffer.byteLength <= 2 * value.byteLength ? value : value.slice();
}

function rowBytes(key: string, length: number): number {
  return key.length + length;
}

const MEMORY_VALUE_BYTES_MAX = 1024;
const UNUSED: SegmentUse = { rows: 0, bytes: 0 };
const EVERYTHING: ScanRange = { from: ' ', to: '\x7f', limit: Number.POSITIVE_INFINITY };
