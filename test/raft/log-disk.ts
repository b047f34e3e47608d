/** Logs on a disk in memory, with virtual time, that can be crashed and damaged. */
import assert from 'node:assert/strict';
import { seededRandom } from '../../src/base/random.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { BallotFile } from '../../src/raft/ballot.ts';
import { chainEntry } from '../../src/raft/chain.ts';
import { encodeConfiguration, NO_CONFIGURATION } from '../../src/raft/configuration.ts';
import { openLogStore } from '../../src/raft/log-open.ts';
import type { LogStore } from '../../src/raft/log-store.ts';
import type { SnapshotMeta } from '../../src/raft/raft-protocol.ts';
import type { AppendWork, HardState, LogEntry, LogPoint } from '../../src/raft/types.ts';
import { MemoryDatabase, type MemoryStorage } from '../../src/store/memory-storage.ts';
import { entriesOf } from './core-node.ts';

export const UUID = '7d0f7a52-6d3c-4f0e-9d57-1f6a4e1c2b3d';
export const NO_STATE: SnapshotMeta = { index: 0, term: 0 };

/** A disk, and logs opened on it. `run` lets virtual time pass while something is awaited. */
export class Disk {
  readonly clock = new VirtualClock();
  readonly database = new MemoryDatabase({ label: 'raft', clock: this.clock });
  storage: MemoryStorage = this.database.open();
  ballotBytes: Uint8Array | undefined;
  readonly ballot: BallotFile = {
    read: () => Promise.resolve(this.ballotBytes),
    replace: (content, done) => {
      this.clock.after(0, () => {
        this.ballotBytes = content;
        done(null);
      });
    },
  };

  async run<Result>(promise: Promise<Result>): Promise<Result> {
    let isDone = false;
    const watched = promise.finally(() => {
      isDone = true;
    });
    watched.catch(() => {});
    while (!isDone) {
      this.clock.advance(1);
      for (let microtask = 0; microtask < 8; microtask += 1) await Promise.resolve();
    }
    return watched;
  }

  open(state = NO_STATE, cacheBytesMax = 1e6): Promise<LogStore> {
    return this.run(
      openLogStore({ journal: this.storage, ballot: this.ballot, clusterUuid: UUID, state, cacheBytesMax }),
    );
  }

  async reopen(state = NO_STATE): Promise<LogStore> {
    await this.run(this.storage.close());
    this.storage = this.database.open();
    return this.open(state);
  }

  crash(mode: 'prefix' | 'any-subset', seed: number): void {
    this.database.crash(seededRandom(seed), mode);
    this.storage = this.database.open();
  }

  write(batch: Parameters<MemoryStorage['write']>[0]): Promise<void> {
    return this.run(
      new Promise((resolve, reject) =>
        this.storage.write(batch, (error) => (error === null ? resolve() : reject(error))),
      ),
    );
  }

  append(store: LogStore, entries: readonly LogEntry[], hardState: HardState = STATE, reset: LogPoint | null = null) {
    return this.run(appendTo(store, entries, hardState, reset));
  }

  read(store: LogStore, low: number, high: number, bytesMax = 1e9): Promise<readonly LogEntry[]> {
    return this.run(
      new Promise((resolve, reject) => {
        store.read(low, high, bytesMax, (error, entries) => (error === null ? resolve(entries) : reject(error)));
      }),
    );
  }
}

export const STATE: HardState = { term: 1, vote: 'n1', commit: 0 };

export function appendTo(
  store: LogStore,
  entries: readonly LogEntry[],
  hardState = STATE,
  reset: LogPoint | null = null,
) {
  const first = entries[0];
  const chainBefore =
    first === undefined ? 0 : reset !== null ? reset.chain : first.index === 1 ? 0 : store.chain(first.index - 1);
  const receipt = { term: 1, last: null, resetIndex: 0 };
  const work: AppendWork = {
    reset: reset === null ? null : { point: reset, configuration: NO_CONFIGURATION },
    entries,
    chainBefore,
    hardState,
    answers: [],
    receipt,
  };
  return new Promise<void>((resolve, reject) =>
    store.append(work, (error) => (error === null ? resolve() : reject(error))),
  );
}

export function allOf(store: LogStore): readonly LogEntry[] {
  const entries = store.slice(store.base.index + 1, store.lastIndex + 1, 1e9);
  assert(entries !== undefined);
  return entries;
}

export function same(left: readonly LogEntry[], right: readonly LogEntry[]): void {
  const plain = (entries: readonly LogEntry[]) =>
    entries.map((entry) => ({ ...entry, data: `${Buffer.from(entry.data)}` }));
  assert.deepEqual(plain(left), plain(right));
}

export const LONG = entriesOf(Array.from({ length: 40 }, () => 1));

/** Forty entries in ten records of four. */
export async function filled(): Promise<{ disk: Disk; store: LogStore }> {
  const disk = new Disk();
  const store = await disk.open();
  for (let from = 0; from < 40; from += 4) await disk.append(store, LONG.slice(from, from + 4));
  return { disk, store };
}

export function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));
  return copy;
}

/** The same log with configurations in some places. */
export function withConfigurations(
  entries: readonly LogEntry[],
  voters: ReadonlyMap<number, readonly string[]>,
): LogEntry[] {
  let chain = 0;
  return entries.map(({ index, term, kind, data }) => {
    const named = voters.get(index);
    const content = named === undefined ? data : encodeConfiguration({ voters: named, outgoing: [], learners: [] });
    const entry = chainEntry(chain, index, term, named === undefined ? kind : 'configuration', content);
    chain = entry.chain;
    return entry;
  });
}
