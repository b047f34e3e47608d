/** The journal in segment files: what it makes of crashes, of changed bytes and of missing files. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { seededRandom } from '../../src/base/random.ts';
import type { Journal } from '../../src/store/journal.ts';
import type { RowPlace } from '../../src/store/segment-index.ts';
import { encodeSegmentHeader } from '../../src/store/segment-record.ts';
import { SegmentReplay } from '../../src/store/segment-replay.ts';
import type { Write } from '../../src/store/storage.ts';
import { openSystemDisk } from '../../src/store/system-disk.ts';
import { openSystemJournal } from '../../src/store/system-journal.ts';
import { ALL, hasCode, put, scan, write } from '../suites/storage-calls.ts';

const run = promisify(execFile);
const SEGMENT_BYTES = 300;

async function setup(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-journal-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'log');
}

function open(path: string, segmentBytes = SEGMENT_BYTES): Promise<Journal> {
  return openSystemJournal(path, { segmentBytes });
}

/** All rows and what is damaged; closed again. */
async function look(path: string): Promise<{ rows: readonly string[]; damage: Journal['damage'] }> {
  const journal = await open(path);
  const rows = await scan(journal, ALL);
  const { damage } = journal;
  await journal.close();
  return { rows, damage };
}

async function segmentsOf(path: string): Promise<string[]> {
  return (await readdir(path)).sort().map((name) => join(path, name));
}

/** Twelve rows in some segments, one write each; all rows live. */
async function fill(path: string, count = 14): Promise<string[]> {
  const journal = await open(path);
  for (let index = 0; index < count; index += 1) await write(journal, put(`k${10 + index}`, `${index}`.repeat(20)));
  const rows = await scan(journal, ALL);
  await journal.close();
  return rows;
}

/** Runs `change` on a copy of the journal at `path`, and looks at that. */
async function changed(path: string, change: (copy: string) => Promise<void>) {
  const copy = `${path}-copy`;
  await rm(copy, { recursive: true, force: true });
  await cp(path, copy, { recursive: true });
  await change(copy);
  return look(copy);
}

test('whatever is written, it is there after each reopening, and the files stay bounded', async (context) => {
  const path = await setup(context);
  const random = seededRandom(5);
  const model = new Map<string, string>();
  for (let round = 0; round < 60; round += 1) {
    const journal = await open(path);
    const batch: Write[] = [];
    for (let count = Math.floor(random() * 4); count >= 0; count -= 1) {
      const name = `k${Math.floor(random() * 30)}`;
      const value = 'v'.repeat(Math.floor(random() * (random() < 0.1 ? 3_000 : 60)));
      if (random() < 0.7) {
        batch.push(put(name, value));
        model.set(name, value);
      } else {
        batch.push({ type: 'delete', key: name });
        model.delete(name);
      }
    }
    await write(journal, ...batch);
    await journal.close();

    const { rows, damage } = await look(path);

    const expected = [...model].map(([name, value]) => `${name}=${value}`).sort(byKey);
    assert.deepEqual([rows, damage], [expected, []], `seed 5, round ${round}`);
  }
  const journal = await open(path);
  for (let round = 0; round < 400; round += 1) await write(journal, put(`k${round % 10}`, 'x'.repeat(50)));
  await journal.close();
  let bytes = 0;
  for (const file of await segmentsOf(path)) bytes += (await stat(file)).size;
  const live = (await look(path)).rows.join('').length;
  assert.ok(bytes <= 2 * live + 4 * SEGMENT_BYTES, `${bytes} bytes in files for ${live} that live`);
});

test('cut at any byte of the last write, it is there whole or not at all, and nothing is damaged', async (context) => {
  const path = await setup(context);
  const rows = await fill(path, 3);
  const [file = ''] = await segmentsOf(path);
  const before = (await stat(file)).size;
  const journal = await open(path, 10_000);
  await write(journal, put('k99', 'last'.repeat(300)), { type: 'delete', key: 'k10' });
  await journal.close();
  const after = (await stat(file)).size;

  for (let size = before; size < after; size += 1) {
    assert.deepEqual(replayed([(await readFile(file)).subarray(0, size)]), { rows, damage: [] }, `cut at ${size}`);
    if (size % 100 !== 0 && size < after - 3) continue;
    const found = await changed(path, (copy) => truncate(join(copy, '0000000001.segment'), size));
    assert.deepEqual(found, { rows, damage: [] }, `cut at ${size}`);
  }
  assert.equal((await look(path)).rows.length, rows.length);

  // Sectors that never came to the disk are zeros.
  const bytes = await readFile(file);
  for (let sector = 512; sector < after; sector += 512) {
    if (sector < before) continue;
    const found = await changed(path, (copy) =>
      writeFile(join(copy, '0000000001.segment'), Buffer.from(bytes).fill(0, sector)),
    );
    assert.deepEqual(found, { rows, damage: [] }, `zeros from ${sector}`);
  }
});

test('after a torn write the journal goes on, and reopens whole', async (context) => {
  const path = await setup(context);
  const rows = await fill(path, 3);
  const [file = ''] = await segmentsOf(path);
  await truncate(file, (await stat(file)).size - 5);

  const journal = await open(path);
  await write(journal, put('k50', 'new'));
  await journal.close();

  assert.deepEqual(await look(path), { rows: [...rows.slice(0, -1), 'k50=new'], damage: [] });
});

test('a flipped bit at any byte loses nothing unnoticed', async (context) => {
  const path = await setup(context);
  const rows = await fill(path);
  const files = await Promise.all((await segmentsOf(path)).map((file) => readFile(file)));
  assert.deepEqual(replayed(files), { rows, damage: [] });
  let noticed = 0;
  for (const [position, bytes] of files.entries()) {
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const copy = Buffer.from(bytes);
      copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7));

      const found = replayed(files.with(position, copy));

      if (found.damage.length === 0) assert.deepEqual(found.rows, rows, `segment ${position + 1}, bit ${bit}`);
      else noticed += 1;
    }
  }
  assert.ok(noticed > 5_000, `${noticed} noticed`);
});

test('behind a broken record all others are there, and the gap is named', async (context) => {
  const path = await setup(context);
  const rows = await fill(path);
  const [file = ''] = await segmentsOf(path);
  const bytes = await readFile(file);
  // The second record: sequence 2.
  const at = bytes.indexOf('k11') + 5;

  const body = await changed(path, (copy) => writeFile(join(copy, '0000000001.segment'), flip(bytes, at)));
  assert.deepEqual(body.rows, [rows[0], ...rows.slice(2)]);
  assert.deepEqual(
    body.damage.map(({ from, to }) => [from, to]),
    [[2, 2]],
  );
  const header = await changed(path, (copy) => writeFile(join(copy, '0000000001.segment'), flip(bytes, at - 30)));
  assert.deepEqual(header.rows, body.rows);
  assert.deepEqual(
    header.damage.map(({ from, to }) => [from, to]),
    [[2, 2]],
  );
});

test('a missing segment is damage, be it the first, one in the middle or the last', async (context) => {
  const path = await setup(context);
  const rows = await fill(path);
  const files = await segmentsOf(path);
  assert.ok(files.length >= 3);

  for (const [position, file] of files.entries()) {
    const found = await changed(path, (copy) => unlink(join(copy, file.slice(path.length))));
    assert.ok(found.rows.length < rows.length);
    assert.match(found.damage[0]?.where ?? '', new RegExp(`${file.slice(path.length + 1)} is missing`));
    assert.equal(found.damage[0]?.to === null, position === files.length - 1);
  }
});

test('damage is told until the first write, which goes into a new segment where the end is lost', async (context) => {
  const path = await setup(context);
  const rows = await fill(path);
  const file = (await segmentsOf(path)).at(-1) ?? '';
  const bytes = await readFile(file);
  const last = bytes.lastIndexOf('k23');
  await writeFile(file, flip(bytes, last + 4));
  assert.deepEqual((await look(path)).damage.length, 1);

  const journal = await open(path);
  assert.deepEqual([journal.damage.length, journal.damage[0]?.to], [1, null]);
  await write(journal, put('seen', 'yes'));
  assert.deepEqual(journal.damage, []);
  await journal.close();

  assert.deepEqual(await look(path), { rows: [...rows.slice(0, -1), 'seen=yes'], damage: [] });
  assert.deepEqual(await readFile(file), flip(bytes, last + 4));
});

test('what was deleted does not come back when a crash leaves an old segment behind', async (context) => {
  const path = await setup(context);
  await fill(path);
  const [oldest = ''] = await segmentsOf(path);
  const bytes = await readFile(oldest);
  const journal = await open(path);
  for (let index = 10; index < 24; index += 1) await write(journal, { type: 'delete', key: `k${index}` });
  for (let index = 0; index < 20; index += 1) await write(journal, put('other', `${index}`.repeat(30)));
  await journal.close();
  assert.equal((await segmentsOf(path)).includes(oldest), false);

  await writeFile(oldest, bytes);

  assert.deepEqual(await look(path), { rows: [`other=${'19'.repeat(30)}`], damage: [] });
  assert.equal((await segmentsOf(path)).includes(oldest), false);
});

test('a segment whose making was cut short is made anew; one of a newer build or of another number is refused', async (context) => {
  const path = await setup(context);
  const rows = await fill(path, 3);
  for (const size of [0, 7, 15]) {
    await writeFile(join(path, '0000000002.segment'), encodeSegmentHeader(2).subarray(0, size));
    assert.deepEqual(await look(path), { rows, damage: [] });
  }
  await writeFile(join(path, '0000000002.segment'), encodeSegmentHeader(7));
  await assert.rejects(open(path), hasCode('storage-failed'));
  const newer = encodeSegmentHeader(2);
  newer.writeUInt32BE(2, 4);
  newer.writeUInt32BE(crc32(newer.subarray(0, 12)), 12);
  await writeFile(join(path, '0000000002.segment'), newer);
  await assert.rejects(open(path), hasCode('newer-directory'));
});

test('a long value that is changed on disk while the journal is open is refused, and everything after it', async (context) => {
  const path = await setup(context);
  const journal = await open(path, 100_000);
  await write(journal, put('long', 'x'.repeat(5_000)));
  const [file = ''] = await segmentsOf(path);
  await writeFile(file, flip(await readFile(file), 1_000));

  assert.throws(() => journal.get('long'), hasCode('storage-failed'));

  await assert.rejects(write(journal, put('a', '1')), hasCode('storage-failed'));
  await assert.rejects(scan(journal, ALL), hasCode('storage-failed'));
  await journal.close();
});

test('the first failed write ends it: every later write and read fails, and a reopening finds what was acknowledged', async (context) => {
  const path = await setup(context);
  const script = fileURLToPath(new URL('./fixtures/full-disk.js', import.meta.url));

  // 256 blocks of 512 bytes: a file may not grow beyond 128 KiB, which is how a full disk looks.
  const command = 'ulimit -f 256; exec "$0" "$@"';
  const { stdout } = await run('/bin/sh', ['-c', command, process.execPath, script, path, 'journal']);

  assert.equal(stdout.trim(), 'done storage-failed storage-failed storage-failed storage-failed storage-failed');
  const { rows, damage } = await look(path);
  assert.deepEqual([rows.map((row) => row.slice(0, 3)), damage], [['k0='], []]);
});

test('a disk that was full and is free again has lost nothing that was acknowledged', {
  skip: process.getuid?.() === 0 ? false : 'only root may mount a small file system',
}, async (context) => {
  const path = await setup(context);
  const script = fileURLToPath(new URL('./fixtures/freed-disk.js', import.meta.url));
  const directory = join(path, '..');

  const command = 'mount -t tmpfs -o size=900k none "$2" && exec "$0" "$1" "$2"';
  const { stdout } = await run('unshare', ['-m', '/bin/sh', '-c', command, process.execPath, script, directory]);

  const [acknowledged, refused, found, later, lost] = stdout.trim().split(' ').map(Number);
  assert.ok((acknowledged ?? 0) > 10, stdout);
  assert.equal(refused, 5);
  assert.ok((found ?? 0) >= (acknowledged ?? 0));
  assert.deepEqual([later, lost], [60, 0]);
});

test('the log of an earlier build is copied once, whatever a crash left of the copying', async (context) => {
  for (const left of ['nothing', 'a draft', 'both'] as const) {
    const path = `${await setup(context)}-${left.length}`;
    const disk = await openSystemDisk(path);
    const level = await disk.openStorage('log');
    const names = Array.from({ length: 40 }, (_, index) => `k${100 + index}`);
    for (const name of names) await write(level, put(name, name.repeat(100)));
    await level.close();
    if (left === 'a draft') await cp(join(path, 'log'), join(path, 'log.journal.new'), { recursive: true });
    if (left === 'both') {
      await cp(join(path, 'log'), join(path, 'kept'), { recursive: true });
      await (await disk.openJournal('log')).close();
      await cp(join(path, 'kept'), join(path, 'log'), { recursive: true });
      await rm(join(path, 'kept'), { recursive: true });
    }

    const journal = await disk.openJournal('log');

    assert.deepEqual(
      await scan(journal, ALL),
      names.map((name) => `${name}=${name.repeat(100)}`),
      left,
    );
    assert.deepEqual((await readdir(path)).sort(), ['lock', 'log.journal']);
    assert.deepEqual(await disk.storageNames(), ['log']);
    await write(journal, put('k100', 'new'));
    await journal.close();
    assert.equal((await scan(await disk.openJournal('log'), ALL))[0], 'k100=new');
    await disk.close();
  }
});

/** As `look`, of segments 1 on in memory. */
function replayed(files: readonly Buffer[]): { rows: readonly string[]; damage: Journal['damage'] } {
  const replay = new SegmentReplay((number) => `segment ${number}`);
  for (const [position, bytes] of files.entries()) replay.take(position + 1, bytes);
  replay.finish();
  const rows = replay.index
    .scan(ALL)
    .map(({ key, value }) => `${key}=${Buffer.from(value.value ?? valueIn(value, files))}`);
  return { rows, damage: replay.damage };
}

function valueIn({ segment, offset, length }: RowPlace, files: readonly Buffer[]): Uint8Array {
  return (files[segment - 1] as Buffer).subarray(offset, offset + length);
}

function flip(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[at] = (copy[at] as number) ^ 1;
  return copy;
}

function byKey(left: string, right: string): number {
  return left.slice(0, left.indexOf('=')) < right.slice(0, right.indexOf('=')) ? -1 : 1;
}
