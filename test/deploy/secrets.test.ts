import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot } from '../helpers/project-root.ts';

const run = promisify(execFile);
const NAMES = ['api-token', 'cluster-key', 'nats-client-password', 'nats-node-password', 'nats-passwords.conf'];

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'carillon-secrets-'));
  await copyFile(join(projectRoot(), 'deploy', 'make-secrets.sh'), join(directory, 'make-secrets.sh'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test('the script makes each secret anew, from 256 random bits', async () => {
  await makeHere();

  const contents = await readHere();
  assert.deepEqual([...contents.keys()], NAMES);
  const secrets = NAMES.slice(0, 4).map((name) => contents.get(name) ?? '');
  for (const secret of secrets) assert.match(secret, /^[0-9a-f]{64}$/);
  assert.equal(new Set(secrets).size, 4);
  const [, , client, node] = secrets;
  assert.equal(contents.get('nats-passwords.conf'), `NODE_PASSWORD: "${node}"\nCLIENT_PASSWORD: "${client}"\n`);
});

test('no other user of the machine gets to the secrets', async () => {
  await makeHere();

  const { mode } = await stat(join(directory, 'secrets'));
  assert.equal(mode & 0o777, 0o700);
});

test('secrets that are there are never overwritten', async () => {
  await makeHere();
  const made = await readHere();

  await assert.rejects(makeHere(), /deploy\/secrets is there already/);

  assert.deepEqual(await readHere(), made);
});

test('the secrets stay out of the repository and out of the image', async () => {
  const ignored = await readFile(join(projectRoot(), 'deploy', '.gitignore'), 'utf8');
  const context = await readFile(join(projectRoot(), '.dockerignore'), 'utf8');

  assert.match(ignored, /^\/secrets\/$/m);
  const rules = context.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  assert.equal(rules[0], '*');
  assert.ok(rules.slice(1).every((rule) => !rule.includes('deploy') && !rule.includes('secrets')));
});

async function makeHere(): Promise<void> {
  await run('sh', [join(directory, 'make-secrets.sh')]);
}

async function readHere(): Promise<ReadonlyMap<string, string>> {
  const secrets = join(directory, 'secrets');
  const contents = new Map<string, string>();
  for (const name of (await readdir(secrets)).sort()) contents.set(name, await readFile(join(secrets, name), 'utf8'));
  return contents;
}
