import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openSystemDisk } from '../../src/store/system-disk.ts';
import { bytes, text } from '../suites/disk.ts';
import { ALL, hasCode, scan } from '../suites/storage-calls.ts';

async function setup(context: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-disk-'));
  context.after(() => rm(directory, { recursive: true, force: true }));
  return join(directory, 'data');
}

async function hold(context: TestContext, directory: string): Promise<ChildProcess> {
  const child = fork(new URL('./fixtures/disk-holder.js', import.meta.url), [directory]);
  context.after(() => child.kill('SIGKILL'));
  assert.deepEqual((await once(child, 'message'))[0], 'holding');
  return child;
}

test('a directory in use by another process is refused with its pid', async (context) => {
  const directory = await setup(context);
  const holder = await hold(context, directory);

  await assert.rejects(
    openSystemDisk(directory),
    (error: Error) => hasCode('directory-unusable')(error) && error.message.includes(`pid ${holder.pid}`),
  );
});

test('kill -9 leaves a lock that the next process takes over, with all that was done', async (context) => {
  const directory = await setup(context);
  const holder = await hold(context, directory);
  holder.kill('SIGKILL');
  await once(holder, 'exit');

  const disk = await openSystemDisk(directory);

  assert.deepEqual(await scan(await disk.openStorage('state'), ALL), ['a=1']);
  await disk.close();
  assert.deepEqual(await readdir(directory), ['state']);
});

const STALE: readonly { readonly title: string; readonly content: string }[] = [
  {
    title: 'of an earlier boot of the machine',
    content: `{"pid":${process.pid},"startedTicks":"1","machineBoot":"x"}`,
  },
  { title: 'that says nothing', content: '' },
  { title: 'that is not from us', content: '[]' },
  { title: 'with an impossible pid', content: '{"pid":-1}' },
];

for (const { title, content } of STALE) {
  test(`a lock ${title} is stale`, async (context) => {
    const directory = await setup(context);
    await mkdir(directory);
    await writeFile(join(directory, 'lock'), content);

    const disk = await openSystemDisk(directory);

    await assert.rejects(openSystemDisk(directory), hasCode('directory-unusable'));
    await disk.close();
    assert.deepEqual(await readdir(directory), []);
  });
}

test('of several that open a stale directory at once, exactly one gets it', async (context) => {
  const directory = await setup(context);
  await mkdir(directory);
  await writeFile(join(directory, 'lock'), '{"pid":-1}');

  const opens = await Promise.allSettled([1, 2, 3, 4].map(() => openSystemDisk(directory)));

  assert.deepEqual(opens.map(({ status }) => status).sort(), ['fulfilled', 'rejected', 'rejected', 'rejected']);
  for (const open of opens) {
    if (open.status === 'fulfilled') await open.value.close();
    else assert.ok(hasCode('directory-unusable')(open.reason));
  }
  assert.deepEqual(await readdir(directory), []);
});

test('a second thread shares the lock of its process, and closing it keeps the lock', async (context) => {
  const directory = await setup(context);
  const disk = await openSystemDisk(directory);
  const shared = await openSystemDisk(directory, { lock: 'shared' });
  await shared.close();

  await assert.rejects(openSystemDisk(directory), hasCode('directory-unusable'));
  await disk.close();
});

test('a path that is a file is refused with its name', async (context) => {
  const directory = await setup(context);
  await writeFile(directory, 'a file');

  for (const path of [directory, join(directory, 'below')]) {
    await assert.rejects(
      openSystemDisk(path),
      (error: Error) => hasCode('directory-unusable')(error) && error.message.includes(path),
    );
  }
});

test('a draft that a crash left behind does no harm', async (context) => {
  const directory = await setup(context);
  const disk = await openSystemDisk(directory);
  await disk.replaceFile('node.json', bytes('old'));
  await writeFile(join(directory, 'node.json.new'), 'half');

  assert.equal(text(await disk.readFile('node.json')), 'old');
  await disk.replaceFile('node.json', bytes('new'));

  assert.equal(text(await disk.readFile('node.json')), 'new');
  await disk.close();
});
