import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualClock } from '../../src/base/virtual-clock.ts';
import type { SnapshotMeta, SnapshotPort, SnapshotReader, SnapshotWriter } from '../../src/raft/raft-protocol.ts';
import type { StateRow } from '../../src/scheduler/rows.ts';
import { createSnapshotPort, openStateStorage, stateMeta } from '../../src/scheduler/snapshot.ts';
import { State } from '../../src/scheduler/state.ts';
import type { Disk } from '../../src/store/disk.ts';
import { MemoryDrive } from '../../src/store/memory-disk.ts';

/** A server's disk with a state of so many rows, applied up to an index. */
class Site {
  readonly clock = new VirtualClock();
  readonly drive = new MemoryDrive({ label: 'drive', clock: this.clock });
  readonly replaced: string[] = [];
  disk: Disk | undefined;

  async start(): Promise<{ readonly state: State; readonly port: SnapshotPort; readonly name: string }> {
    const disk = this.drive.open();
    this.disk = disk;
    const { name, storage } = await openStateStorage(disk);
    const state = new State(storage);
    const port = createSnapshotPort({ disk, state, name, onReplaced: (now) => this.replaced.push(now) });
    return { state, port, name };
  }

  async filled(rows: number, index: number): Promise<{ readonly state: State; readonly port: SnapshotPort }> {
    const started = await this.start();
    const { state } = started;
    for (let number = 0; number < rows; number += 1) state.put(`finished/${index}/${number}`, rowOf(number));
    state.meta = { ...state.meta, appliedIndex: index, appliedTerm: 3 };
    await this.call<void>((done) => state.flush(done));
    return started;
  }

  /** Runs timers and microtasks until a port has answered. */
  async call<Value>(ask: (done: (error: Error | null, value: Value) => void) => void): Promise<Value> {
    let outcome: { readonly error: Error | null; readonly value: Value } | undefined;
    ask((error, value) => {
      outcome = { error, value };
    });
    for (let turn = 0; outcome === undefined; turn += 1) {
      assert.ok(turn < 1_000, 'the port never answers');
      this.clock.advance(0);
      await Promise.resolve();
    }
    if (outcome.error !== null) throw outcome.error;
    return outcome.value;
  }

  /** Lets what nobody waits for come to its end. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 100; turn += 1) {
      this.clock.advance(0);
      await Promise.resolve();
    }
  }

  async storages(): Promise<readonly string[]> {
    return await this.call((done) => void (this.disk as Disk).storageNames().then((names) => done(null, names)));
  }

  async chunks(port: SnapshotPort): Promise<{ readonly meta: SnapshotMeta; readonly chunks: Uint8Array[] }> {
    const reader = (await this.call<SnapshotReader | null>((done) => port.open(done))) as SnapshotReader;
    const chunks: Uint8Array[] = [];
    for (;;) {
      const chunk = await this.call<Uint8Array | null>((done) => reader.next(done));
      if (chunk === null) break;
      chunks.push(chunk);
    }
    reader.close();
    return { meta: reader.meta, chunks };
  }

  async install(port: SnapshotPort, meta: SnapshotMeta, chunks: readonly Uint8Array[]): Promise<void> {
    const writer = (await this.call<SnapshotWriter | null>((done) => port.receive(meta, done))) as SnapshotWriter;
    try {
      for (const chunk of chunks) await this.call<void>((done) => writer.write(chunk, done));
      await this.call<void>((done) => writer.finish(done));
    } catch (error) {
      writer.abort();
      throw error;
    }
  }
}

function rowOf(number: number): StateRow {
  return { type: 'finished', run: `s${number}${'x'.repeat(number % 3 === 0 ? 900 : 10)}` };
}

test('a state that is sent in chunks and installed is the same state, also after a start', async () => {
  const [from, to] = [new Site(), new Site()];
  const sender = await from.filled(3_000, 70);
  const receiver = await to.filled(10, 20);

  const { meta, chunks } = await from.chunks(sender.port);
  await to.install(receiver.port, meta, chunks);

  assert.deepEqual(meta, { index: 70, term: 3 });
  assert.ok(chunks.length > 3 && chunks.every((chunk) => chunk.length <= 256 * 1024));
  assert.equal(receiver.state.rowHash(), sender.state.rowHash());
  assert.deepEqual(receiver.state.meta, sender.state.meta);
  assert.equal(receiver.state.get('finished/20/1'), undefined);
  assert.deepEqual(to.replaced, ['state-70-3-1']);
  to.drive.crash(() => 0, 'any-subset');
  const restarted = await to.start();
  assert.equal(restarted.name, 'state-70-3-1');
  assert.equal(restarted.state.rowHash(), sender.state.rowHash());
});

test('what an attempt or an install has left on disk goes before the next state is received', async () => {
  const [from, to] = [new Site(), new Site()];
  const { port } = await from.filled(500, 70);
  const { meta, chunks } = await from.chunks(port);
  const receiver = await to.filled(10, 20);

  for (let attempt = 0; attempt < 3; attempt += 1) {
    await assert.rejects(to.install(receiver.port, meta, chunks.slice(1)));
    await to.settle();
  }
  assert.deepEqual(await to.storages(), ['state', 'state-70-3-3']);
  await to.install(receiver.port, meta, chunks);
  await to.settle();
  assert.deepEqual(await to.storages(), ['state', 'state-70-3-4']);
  const later = { index: 80, term: 3 };
  await assert.rejects(to.install(receiver.port, later, chunks));

  assert.deepEqual(await to.storages(), ['state-70-3-4', 'state-80-3-5']);
});

test('a snapshot is of the moment it was opened, whatever is applied since', async () => {
  const [from, to] = [new Site(), new Site()];
  const sender = await from.filled(2_000, 70);
  const before = sender.state.rowHash();
  const reader = (await from.call<SnapshotReader | null>((done) => sender.port.open(done))) as SnapshotReader;
  sender.state.put('finished/70/5', rowOf(9_999));
  sender.state.meta = { ...sender.state.meta, appliedIndex: 71 };
  await from.call<void>((done) => sender.state.flush(done));

  const receiver = await to.start();
  const writer = (await to.call<SnapshotWriter | null>((done) =>
    receiver.port.receive(reader.meta, done),
  )) as SnapshotWriter;
  for (;;) {
    const chunk = await from.call<Uint8Array | null>((done) => reader.next(done));
    if (chunk === null) break;
    await to.call<void>((done) => writer.write(chunk, done));
  }
  await to.call<void>((done) => writer.finish(done));

  assert.equal(receiver.state.rowHash(), before);
  assert.equal(receiver.state.meta.appliedIndex, 70);
});

test('what arrives damaged, cut or with a hole is refused, and the old state stays', async () => {
  const from = new Site();
  const sender = await from.filled(1_000, 70);
  const { meta, chunks } = await from.chunks(sender.port);
  const first = chunks[0] as Uint8Array;
  const flipped = Uint8Array.from(first);
  flipped[first.length - 10] = (flipped[first.length - 10] as number) ^ 1;
  const lengthy = Uint8Array.from(first);
  lengthy[0] = 0xff;
  const binaryKey = Uint8Array.from(first);
  binaryKey[5] = 0;
  const damaged = [
    [flipped, ...chunks.slice(1)],
    [lengthy, ...chunks.slice(1)],
    [binaryKey, ...chunks.slice(1)],
    [first.subarray(0, first.length - 3), ...chunks.slice(1)],
    chunks.slice(1),
    chunks.slice(0, -1),
    [],
  ];
  for (const bad of damaged) {
    const to = new Site();
    const receiver = await to.filled(10, 20);
    const before = receiver.state.rowHash();

    await assert.rejects(to.install(receiver.port, meta, bad), /damaged/);

    assert.equal(receiver.state.rowHash(), before);
    assert.equal(receiver.state.meta.appliedIndex, 20);
    assert.deepEqual(to.replaced, []);
    await to.install(receiver.port, meta, chunks);
    assert.equal(receiver.state.rowHash(), sender.state.rowHash());
  }
});

test('a state that this server has reached already is not taken again', async () => {
  const [from, to] = [new Site(), new Site()];
  const sender = await from.filled(100, 70);
  const receiver = await to.start();
  const { meta, chunks } = await from.chunks(sender.port);
  await to.install(receiver.port, meta, chunks);

  await assert.rejects(to.install(receiver.port, meta, chunks), /already/);

  assert.equal(receiver.state.rowHash(), sender.state.rowHash());
  assert.deepEqual(receiver.state.get('finished/70/1'), rowOf(1));
});

test('a crash at any step leaves the old state or the new one, and removes what is neither', async () => {
  const from = new Site();
  const sender = await from.filled(1_500, 70);
  const { meta, chunks } = await from.chunks(sender.port);
  const steps = chunks.length + 2;
  for (let crashAt = 0; crashAt <= steps; crashAt += 1) {
    for (const random of [() => 0, () => 0.99]) {
      const to = new Site();
      const { port, state } = await to.filled(10, 20);
      const old = state.rowHash();

      let step = 0;
      const isOver = () => step++ >= crashAt;
      let writer: SnapshotWriter | null = null;
      if (!isOver()) writer = await to.call<SnapshotWriter | null>((done) => port.receive(meta, done));
      for (const chunk of chunks) if (!isOver()) await to.call<void>((done) => writer?.write(chunk, done));
      if (!isOver()) await to.call<void>((done) => writer?.finish(done));
      to.drive.crash(random, 'any-subset');

      const restarted = await to.start();
      const found = restarted.state.rowHash();
      const isNew = restarted.state.meta.appliedIndex === 70;
      assert.equal(found, isNew ? sender.state.rowHash() : old, `crash at step ${crashAt}`);
      if (crashAt < steps) assert.equal(isNew, false);
      assert.deepEqual(stateMeta(restarted.state.storage), isNew ? meta : { index: 20, term: 3 });
    }
  }
});
