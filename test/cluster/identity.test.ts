import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IdentityFiles, joinCluster, keepPromise, openIdentity } from '../../src/cluster/identity.ts';
import { hasCode } from '../suites/storage-calls.ts';

const NODE = '0123456789abcdef0123456789abcdef';
const OTHER = 'f'.repeat(32);
const LOWEST = '0'.repeat(31).concat('1');
const VOTERS = [LOWEST, NODE];
const PROMISE = { clusterUuid: OTHER, voters: VOTERS, proposer: LOWEST };
const WANTED = { clusterName: 'prod', nodeName: 'a', mint: () => NODE };

function setup(content?: unknown, storages: readonly string[] = []) {
  const encode = (value: unknown) =>
    new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value));
  let bytes: Uint8Array | undefined = content === undefined ? undefined : encode(content);
  let writes = 0;
  const files: IdentityFiles = {
    label: 'the directory',
    storageNames: async () => storages,
    readFile: async () => bytes,
    replaceFile: async (name, replaced) => {
      assert.equal(name, 'node.json');
      bytes = replaced;
      writes += 1;
    },
  };
  return {
    files,
    stored: (): unknown => JSON.parse(new TextDecoder().decode(bytes)),
    writes: () => writes,
  };
}

const IDENTITY = {
  nodeId: NODE,
  clusterUuid: null,
  voters: null,
  promise: null,
  clusterName: 'prod',
  nodeName: 'a',
  boot: 4,
};
const STORED = { format: 2, ...IDENTITY };

test('a fresh directory gets a minted identity in its first boot', async () => {
  const { files, stored } = setup();

  const identity = await openIdentity(files, WANTED);

  assert.deepEqual(identity, { ...IDENTITY, boot: 1 });
  assert.deepEqual(stored(), { ...STORED, boot: 1 });
});

test('each start raises the boot counter, durably, and keeps the rest', async () => {
  const { files, stored } = setup();
  const wanted = { ...WANTED, mint: once() };
  await openIdentity(files, wanted);
  await openIdentity(files, wanted);

  const identity = await openIdentity(files, wanted);

  assert.equal(identity.boot, 3);
  assert.equal(identity.nodeId, NODE);
  assert.deepEqual(stored(), { ...STORED, boot: 3 });
});

test('a node that joined its cluster stays in it', async () => {
  const { files, stored } = setup();
  const joined = await joinCluster(files, await openIdentity(files, WANTED), OTHER);
  assert.equal(joined.clusterUuid, OTHER);
  assert.deepEqual(stored(), { ...STORED, clusterUuid: OTHER, boot: 1 });

  const again = await openIdentity(files, WANTED);

  assert.equal(again.clusterUuid, OTHER);
  assert.equal(again.boot, 2);
  await assert.rejects(async () => joinCluster(files, again, NODE), { name: 'AssertionError' });
});

test('joining stores uuid and voters in one step and settles the promise', async () => {
  const { files, stored, writes } = setup();
  const fresh = await openIdentity(files, WANTED);
  const promised = await keepPromise(files, fresh, PROMISE);
  assert.deepEqual(stored(), { ...STORED, boot: 1, promise: PROMISE });
  const before = writes();

  const joined = await joinCluster(files, promised, OTHER, VOTERS);

  assert.equal(writes(), before + 1);
  assert.deepEqual(joined, { ...IDENTITY, boot: 1, clusterUuid: OTHER, voters: VOTERS });
  assert.deepEqual(stored(), { format: 2, ...joined });
});

test('a promise outlives a restart and goes to lower proposers only', async () => {
  const { files } = setup();
  await keepPromise(files, await openIdentity(files, WANTED), { ...PROMISE, voters: [NODE], proposer: NODE });
  const again = await openIdentity(files, WANTED);
  assert.deepEqual(again.promise, { clusterUuid: OTHER, voters: [NODE], proposer: NODE });

  const lower = await keepPromise(files, again, PROMISE);

  assert.deepEqual(lower.promise, PROMISE);
  await assert.rejects(async () => keepPromise(files, lower, { ...PROMISE, voters: [NODE], proposer: NODE }), {
    name: 'AssertionError',
  });
});

test('a file of format 1 is read: it knows of no voters and no promise', async () => {
  const { files, stored } = setup({
    format: 1,
    nodeId: NODE,
    clusterUuid: OTHER,
    clusterName: 'prod',
    nodeName: 'a',
    boot: 4,
  });

  const identity = await openIdentity(files, WANTED);

  assert.deepEqual(identity, { ...IDENTITY, clusterUuid: OTHER, boot: 5 });
  assert.deepEqual(stored(), { format: 2, ...identity });
});

const REFUSED: readonly { readonly title: string; readonly content: unknown; readonly code: string; says: RegExp }[] = [
  {
    title: 'of another cluster',
    content: { ...STORED, clusterName: 'stage' },
    code: 'foreign-directory',
    says: /the directory .*cluster stage, not prod/,
  },
  {
    title: 'of another node',
    content: { ...STORED, nodeName: 'b' },
    code: 'foreign-directory',
    says: /node b, not a/,
  },
  {
    title: 'of a newer version, whatever else it says',
    content: { format: 3, boot: 'changed' },
    code: 'newer-directory',
    says: /format 3/,
  },
  { title: 'that is not JSON', content: '{"format": 1,', code: 'directory-unusable', says: /node\.json/ },
  { title: 'that is empty', content: '', code: 'directory-unusable', says: /node\.json/ },
  { title: 'that is no object', content: '7', code: 'directory-unusable', says: /node\.json/ },
  { title: 'without format', content: { nodeId: NODE }, code: 'directory-unusable', says: /node\.json/ },
  { title: 'with a bad nodeId', content: { ...STORED, nodeId: 'x' }, code: 'directory-unusable', says: /node\.json/ },
  { title: 'with a bad uuid', content: { ...STORED, clusterUuid: 3 }, code: 'directory-unusable', says: /node\.json/ },
  { title: 'with bad voters', content: { ...STORED, voters: [] }, code: 'directory-unusable', says: /node\.json/ },
  {
    title: 'with voters out of order',
    content: { ...STORED, voters: [NODE, LOWEST] },
    code: 'directory-unusable',
    says: /node\.json/,
  },
  {
    title: 'with a promise to somebody else than the first voter',
    content: { ...STORED, promise: { ...PROMISE, proposer: NODE } },
    code: 'directory-unusable',
    says: /node\.json/,
  },
  { title: 'with boot 0', content: { ...STORED, boot: 0 }, code: 'directory-unusable', says: /node\.json/ },
  { title: 'with half a boot', content: { ...STORED, boot: 1.5 }, code: 'directory-unusable', says: /node\.json/ },
];

for (const { title, content, code, says } of REFUSED) {
  test(`an identity ${title} is refused and left as it is`, async () => {
    const { files, writes } = setup(content);

    await assert.rejects(
      openIdentity(files, WANTED),
      (error: Error) => hasCode(code)(error) && says.test(error.message),
    );

    assert.equal(writes(), 0);
  });
}

test('data without an identity is refused: a new nodeId over an old log would vote twice', async () => {
  const { files, writes } = setup(undefined, ['log', 'state']);

  await assert.rejects(openIdentity(files, WANTED), hasCode('directory-unusable'));

  assert.equal(writes(), 0);
});

function once(): () => string {
  let isMinted = false;
  return () => {
    assert.equal(isMinted, false, 'minted twice');
    isMinted = true;
    return NODE;
  };
}
