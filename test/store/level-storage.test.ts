import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { openLevelStorage } from '../../src/store/level-storage.ts';
import { hasCode, put, write } from '../suites/storage-calls.ts';

const run = promisify(execFile);

async function setup(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-level-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'state');
}

test('a second thread reads what the first has written, while both have it open', async (context) => {
  const path = await setup(context);
  const storage = await openLevelStorage(path);
  await write(storage, put('early', '1'));
  const worker = new Worker(new URL('./fixtures/reader.worker.js', import.meta.url), { workerData: path });
  const ask = async (key: string): Promise<unknown> => {
    worker.postMessage(key);
    return (await once(worker, 'message'))[0];
  };
  await once(worker, 'message');

  assert.equal(await ask('early'), '1');
  await write(storage, put('late', '2'));
  assert.equal(await ask('late'), '2');

  worker.postMessage(null);
  await once(worker, 'exit');
  await write(storage, put('later', '3'));
  await storage.close();
});

test('batches that come while one is in flight share the next', async (context) => {
  const storage = await openLevelStorage(await setup(context));
  const ends: { readonly name: number; readonly turn: number }[] = [];
  let turn = 0;
  const count = (): void => {
    turn += 1;
    if (ends.length < 1_000) setImmediate(count);
  };
  setImmediate(count);

  await Promise.all(
    Array.from(
      { length: 1_000 },
      (_, name) =>
        new Promise<void>((resolve) => {
          storage.write([put(`k${name}`, 'x')], () => {
            ends.push({ name, turn });
            resolve();
          });
        }),
    ),
  );

  const groups = new Set(ends.map((end) => end.turn));
  assert.deepEqual(
    ends.map((end) => end.name),
    Array.from({ length: 1_000 }, (_, name) => name),
  );
  assert.ok(groups.size <= 3, `${groups.size} groups`);
  await storage.close();
});

test('after the first failed write every write and read fails', async (context) => {
  const path = await setup(context);
  const script = fileURLToPath(new URL('./fixtures/full-disk.js', import.meta.url));

  // 256 blocks of 512 bytes: a file may not grow beyond 128 KiB, which is how a full disk looks to LevelDB.
  const { stdout } = await run('/bin/sh', ['-c', 'ulimit -f 256; exec "$0" "$@"', process.execPath, script, path]);

  assert.equal(stdout.trim(), 'done storage-failed storage-failed storage-failed storage-failed storage-failed');
});

test('a directory that cannot be made is refused with its path and the reason', async (context) => {
  const path = await setup(context);
  await writeFile(path, 'a file');

  await assert.rejects(
    openLevelStorage(join(path, 'state')),
    (error: Error) => hasCode('directory-unusable')(error) && error.message.includes(path),
  );
});
