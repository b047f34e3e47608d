import { ClassicLevel, type Snapshot } from 'classic-level';
import { CodedError } from '../base/errors.ts';
import { mayBeginNativeWork, trackNativeWork } from '../base/system-native-work.ts';
import { GroupCommit, type WaitingBatch } from './group-commit.ts';
import { assertBatch, type Row, type ScanRange, type Storage, type StorageSnapshot, type Write } from './storage.ts';

/**
 * Opens the LevelDB in `directory`, making it if it is missing. A second open in this process, from any thread, shares
 * the database; one from another process is refused. A thread that only reads opens it in the same way.
 */
export async function openLevelStorage(directory: string): Promise<Storage> {
  const level = new ClassicLevel<string, Uint8Array>(directory, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    multithreading: true,
  });
  try {
    await level.open();
  } catch (error) {
    throw openError(directory, error);
  }
  return new LevelStorage(level);
}

/**
 * One synced batch is in flight at a time. Those that come meanwhile wait and are joined into the next (group commit),
 * so that one fsync serves many callers. Never an unsynced batch: LevelDB may keep a later synced one and lose it.
 */
class LevelStorage implements Storage {
  readonly #level: ClassicLevel<string, Uint8Array>;
  readonly #commits: GroupCommit;
  #closing: Promise<void> | undefined;
  #failure: CodedError | undefined;

  constructor(level: ClassicLevel<string, Uint8Array>) {
    this.#level = level;
    this.#commits = new GroupCommit(level.location, (group) => this.#writeGroup(group));
  }

  get(key: string): Uint8Array | undefined {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    try {
      return this.#level.getSync(key);
    } catch (error) {
      throw this.#fail('read', error);
    }
  }

  scan(range: ScanRange, done: (error: Error | null, rows: readonly Row[]) => void): void {
    this.#scan(range, undefined, done);
  }

  write(batch: readonly Write[], done: (error: Error | null) => void): void {
    assertBatch(batch);
    const refusal = this.#refusal() ?? this.#commits.write(batch, done);
    if (refusal !== undefined) setImmediate(done, refusal);
  }

  snapshot(): StorageSnapshot {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    const snapshot = this.#level.snapshot();
    let isOpen = true;
    return {
      scan: (range, done) => {
        if (isOpen) this.#scan(range, snapshot, done);
        else setImmediate(done, new CodedError('stopped', `a snapshot of ${this.#level.location} is closed`), []);
      },
      close: () => {
        if (!isOpen) return;
        isOpen = false;
        // It waits for scans that are under way; after that LevelDB only drops a reference, which cannot fail.
        void snapshot.close();
      },
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    await this.#commits.untilIdle();
    await this.#level.close();
  }

  async #writeGroup(group: readonly WaitingBatch[]): Promise<CodedError | null> {
    if (this.#failure !== undefined) return this.#failure;
    try {
      // A chained batch goes straight to the binding: an array of operations costs several times as much.
      const chained = this.#level.batch();
      for (const { batch } of group) {
        for (const write of batch) {
          if (write.type === 'put') chained.put(write.key, write.value);
          else chained.del(write.key);
        }
      }
      await trackNativeWork(chained.write(SYNCED));
      return null;
    } catch (error) {
      return this.#fail('write', error);
    }
  }

  #scan(
    range: ScanRange,
    snapshot: Snapshot | undefined,
    done: (error: Error | null, rows: readonly Row[]) => void,
  ): void {
    const refusal = this.#refusal();
    if (refusal !== undefined) {
      setImmediate(done, refusal, []);
      return;
    }
    const { from, to, limit, reverse = false } = range;
    const options = { gte: from, lt: to, limit, reverse, highWaterMarkBytes: SCAN_BYTES };
    const iterator = this.#level.iterator(snapshot === undefined ? options : { ...options, snapshot });
    trackNativeWork(iterator.all()).then(
      (entries) =>
        done(
          null,
          entries.map(([key, value]) => ({ key, value })),
        ),
      (error: unknown) => done(this.#closing !== undefined ? this.#closedError() : this.#fail('read', error), []),
    );
  }

  #refusal(): CodedError | undefined {
    return this.#failure ?? (this.#closing !== undefined || !mayBeginNativeWork() ? this.#closedError() : undefined);
  }

  #closedError(): CodedError {
    return new CodedError('stopped', `storage ${this.#level.location} is closed`);
  }

  /** The first error decides: what LevelDB says after a failed write is not to be trusted. */
  #fail(action: 'read' | 'write', cause: unknown): CodedError {
    const message = `cannot ${action} ${this.#level.location}: ${reasonOf(cause)}`;
    this.#failure ??= new CodedError('storage-failed', message, { cause });
    return this.#failure;
  }
}

const SYNCED = { sync: true } as const;
/** LevelDB hands rows over in pieces of this size; its own default of 16 KiB costs a thread switch per 16 KiB. */
const SCAN_BYTES = 256 * 1024;

function openError(directory: string, error: unknown): CodedError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined;
  if (code === 'LEVEL_LOCKED') {
    return new CodedError('directory-unusable', `${directory} is in use by another process`, { cause });
  }
  if (code === 'LEVEL_CORRUPTION') {
    return new CodedError('storage-failed', `${directory} is damaged: ${reasonOf(cause)}`, { cause });
  }
  return new CodedError('directory-unusable', `cannot open ${directory}: ${reasonOf(cause)}`, { cause });
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
