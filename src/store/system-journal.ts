/**
 * A journal in segment files: every write is one record, appended to the newest segment and synced. Where each row
 * lies is in memory, short values too. A segment is dropped when it is the oldest and no row lives in it; the rows
 * that are left in it are written again once more than half of all bytes are dead. So the files hold at most twice what
 * lives, two segments, and what one batch takes.
 */
import { mkdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import { CodedError } from '../base/errors.ts';
import { GroupCommit, type WaitingBatch } from './group-commit.ts';
import type { Journal, JournalDamage } from './journal.ts';
import type { RowPlace, SegmentIndex } from './segment-index.ts';
import { encodeRecord, type SegmentOperation } from './segment-record.ts';
import type { SegmentReplay } from './segment-replay.ts';
import type { SortedRow } from './sorted-rows.ts';
import { assertBatch, type Row, type ScanRange, type StorageSnapshot, type Write } from './storage.ts';
import { replaySegments } from './system-journal-opening.ts';
import { SystemSegment } from './system-segment.ts';
import { syncDirectory } from './system-sync.ts';

export interface SystemJournalOptions {
  /** A segment that has reached this size is followed by another. Default 16 MiB. */
  readonly segmentBytes?: number;
}

/** Opens the journal in `directory`, making it if it is missing. In one process at most once at a time. */
export async function openSystemJournal(directory: string, options: SystemJournalOptions = {}): Promise<Journal> {
  const path = resolve(directory);
  if (OPEN.has(path)) throw new CodedError('directory-unusable', `${path} is open already`);
  OPEN.add(path);
  try {
    if ((await mkdir(path, { recursive: true, mode: 0o700 })) !== undefined) await syncDirectory(dirname(path));
    const { replay, segments } = await replaySegments(path);
    return new SystemJournal(path, options.segmentBytes ?? SEGMENT_BYTES, replay, segments);
  } catch (error) {
    OPEN.delete(path);
    if (error instanceof CodedError) throw error;
    throw new CodedError('storage-failed', `cannot open ${path}: ${reasonOf(error)}`, { cause: error });
  }
}

class SystemJournal implements Journal {
  damage: readonly JournalDamage[];
  readonly #directory: string;
  readonly #segmentBytes: number;
  readonly #index: SegmentIndex;
  /** Ascending; the last one is written to. */
  #segments: SystemSegment[];
  #bytes: number;
  #sequence: number;
  #headerCrc: number;
  readonly #commits: GroupCommit;
  #failure: CodedError | undefined;
  #closing: Promise<void> | undefined;

  constructor(directory: string, segmentBytes: number, replay: SegmentReplay, segments: SystemSegment[]) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.damage = replay.damage;
    this.#index = replay.index;
    this.#segments = segments;
    this.#bytes = segments.reduce((sum, { size }) => sum + size, 0);
    this.#sequence = replay.nextSequence;
    this.#headerCrc = replay.headerCrc;
    this.#commits = new GroupCommit(directory, (group) => this.#writeGroup(group));
  }

  get(key: string): Uint8Array | undefined {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    const place = this.#index.get(key);
    if (place === undefined || place.value !== null) return place?.value ?? undefined;
    try {
      return proven(this.#segment(place), place, this.#segment(place).readNow(place.offset, place.length));
    } catch (error) {
      throw this.#fail('read', error);
    }
  }

  scan(range: ScanRange, done: (error: Error | null, rows: readonly Row[]) => void): void {
    const refusal = this.#refusal();
    if (refusal === undefined) void this.#readRows(this.#index.scan(range), done);
    else setImmediate(done, refusal, []);
  }

  write(batch: readonly Write[], done: (error: Error | null) => void): void {
    assertBatch(batch);
    const refusal = this.#refusal() ?? this.#commits.write(batch, done);
    if (refusal !== undefined) setImmediate(done, refusal);
  }

  snapshot(): StorageSnapshot {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    const rows = this.#index.rows();
    const segments = new Map(this.#segments.map((segment) => [segment.number, segment]));
    for (const segment of segments.values()) segment.retain();
    let isOpen = true;
    return {
      scan: (range, done) => {
        const reason = isOpen
          ? this.#refusal()
          : new CodedError('stopped', `a snapshot of ${this.#directory} is closed`);
        if (reason === undefined) void this.#readRows(rows.scan(range), done, segments);
        else setImmediate(done, reason, []);
      },
      close: () => {
        if (isOpen) for (const segment of segments.values()) void this.#release(segment);
        isOpen = false;
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await this.#commits.untilIdle();
    OPEN.delete(this.#directory);
    for (const segment of this.#segments) await segment.release();
  }

  /** One record for all: a crash keeps the whole group or nothing of it. */
  async #writeGroup(group: readonly WaitingBatch[]): Promise<CodedError | null> {
    if (this.#failure !== undefined) return this.#failure;
    try {
      const target = this.#segments[this.#segments.length - 1] as SystemSegment;
      const operations: SegmentOperation[] = group.flatMap(({ batch }) => batch);
      if (this.damage.length > 0) operations.push({ type: 'seen' });
      const dropped = await this.#dropOldest(operations);
      // The next segment is there before this one says so: one that is missing later was lost.
      const next = target.size >= this.#segmentBytes ? await this.#makeSegment(target.number + 1) : null;
      if (next !== null) operations.push({ type: 'end' });
      const { bytes, headerCrc, valueOffsets } = encodeRecord(this.#sequence, this.#headerCrc, operations);
      const start = target.size;
      await target.append(bytes);
      this.#bytes += bytes.length;
      this.#sequence += 1;
      this.#headerCrc = headerCrc;
      this.#index.apply(target.number, start, operations, valueOffsets);
      this.damage = [];
      if (next !== null) this.#segments.push(next);
      if (dropped !== null) {
        this.#segments = this.#segments.filter((segment) => segment !== dropped);
        this.#bytes -= dropped.size;
        await dropped.remove();
      }
      return null;
    } catch (error) {
      return this.#fail('write', error);
    }
  }

  async #makeSegment(number: number): Promise<SystemSegment> {
    const segment = await SystemSegment.create(this.#directory, number);
    await syncDirectory(this.#directory);
    this.#bytes += segment.size;
    return segment;
  }

  /**
   * Adds what makes the oldest segment superfluous, if that is worth it. Only ever the oldest: a later one may hold
   * deletes of rows that lie in earlier ones.
   */
  async #dropOldest(operations: SegmentOperation[]): Promise<SystemSegment | null> {
    const oldest = this.#segments[0] as SystemSegment;
    if (this.#segments.length < 2) return null;
    const isMostlyDead = this.#bytes > 2 * this.#index.liveBytes + 2 * this.#segmentBytes;
    if (this.#index.use(oldest.number).rows > 0 && !isMostlyDead) return null;
    const changed = new Set(operations.map((operation) => ('key' in operation ? operation.key : '')));
    for (const { key, value: place } of this.#index.rowsIn(oldest.number)) {
      if (changed.has(key)) continue;
      const value = place.value ?? proven(oldest, place, await oldest.read(place.offset, place.length));
      operations.push({ type: 'put', key, value });
    }
    operations.push({ type: 'first', segment: oldest.number + 1 });
    return oldest;
  }

  /** `segments` of a snapshot; else those of now, which are kept until the rows are read. */
  async #readRows(
    places: readonly SortedRow<RowPlace>[],
    done: (error: Error | null, rows: readonly Row[]) => void,
    segments?: ReadonlyMap<number, SystemSegment>,
  ): Promise<void> {
    const used = places
      .filter(({ value }) => value.value === null)
      .map(({ value }) => segments?.get(value.segment) ?? this.#segment(value));
    for (const segment of used) segment.retain();
    const rows: Row[] = [];
    let failure: CodedError | null = null;
    try {
      let position = 0;
      for (const { key, value: place } of places) {
        if (place.value !== null) rows.push({ key, value: place.value });
        else {
          const segment = used[position++] as SystemSegment;
          rows.push({ key, value: proven(segment, place, await segment.read(place.offset, place.length)) });
        }
      }
    } catch (error) {
      failure = this.#fail('read', error);
    }
    for (const segment of used) await this.#release(segment);
    setImmediate(done, failure, failure === null ? rows : []);
  }

  #segment(place: RowPlace): SystemSegment {
    const segment = this.#segments.find(({ number }) => number === place.segment);
    if (segment === undefined) throw new Error(`segment ${place.segment} of ${this.#directory} is gone`);
    return segment;
  }

  async #release(segment: SystemSegment): Promise<void> {
    try {
      await segment.release();
    } catch (error) {
      this.#fail('close', error);
    }
  }

  #refusal(): CodedError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    return this.#closing === undefined ? undefined : new CodedError('stopped', `storage ${this.#directory} is closed`);
  }

  /** The first error decides: what a disk says after a failed write is not to be trusted. */
  #fail(action: 'read' | 'write' | 'close', cause: unknown): CodedError {
    const message = `cannot ${action} ${this.#directory}: ${reasonOf(cause)}`;
    this.#failure ??= new CodedError('storage-failed', message, { cause });
    return this.#failure;
  }
}

function proven(segment: SystemSegment, place: RowPlace, value: Uint8Array): Uint8Array {
  if (crc32(value) === place.crc) return value;
  throw new Error(`${segment.path} was changed in bytes ${place.offset} to ${place.offset + place.length}`);
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Journals that are open in this thread. */
const OPEN = new Set<string>();
const SEGMENT_BYTES = 16 * 1024 * 1024;
