import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type IdentityFiles, joinCluster, openIdentity } from '../../src/cluster/identity.ts';
import { hasCode } from '../suites/storage.ts';

const NODE = '0123456789abcdef0123456789abcdef';
const OTHER = 'f'.repeat(32);
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

const STORED = { format: 1, nodeId: NODE, clusterUuid: null, clusterName: 'prod', nodeName: 'a', boot: 4 };

test('a fresh directory gets a minted identity in its first boot', async () => {
  const { files, stored } = setup();

  const identity = await openIdentity(files, WANTED);

  assert.deepEqual(identity, { nodeId: NODE, clusterUuid: null, clusterName: 'prod', nodeName: 'a', boot: 1 });
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
    content: { format: 2, boot: 'changed' },
    code: 'newer-directory',
    says: /format 2/,
  },
  { title: 'that is not JSON', content: '{"format": 1,', code: 'directory-unusable', says: /node\.json/ },
  { title: 'that is empty', content: '', code: 'directory-unusable', says: /node\.json/ },
  { title: 'that is no object', content: '7', code: 'directory-unusable', says: /node\.json/ },
  { title: 'without format', content: { nodeId: NODE }, code: 'directory-unusable', says: /node\.json/ },
  { title: 'with a bad nodeId', content: { ...STORED, nodeId: 'x' }, code: 'directory-unusable', says: /node\.json/ },
  { title: 'with a bad uuid', content: { ...STORED, clusterUuid: 3 }, code: 'directory-unusable', says: /node\.json/ },
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
