/** What a user gets: the packed package, installed without what only developers need. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, readdir, writeFile } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { carillon, startDevNode, temporaryDirectory, until } from '../helpers/dev-node.ts';
import { startNatsServer } from '../helpers/nats-server.ts';
import { projectRoot } from '../helpers/project-root.ts';

const run = promisify(execFile);
const INSTALL_MS_MAX = 180_000;
const QUIET = ['--no-audit', '--no-fund', '--loglevel=error'];
const PATH = [dirname(process.execPath), '/usr/bin', '/bin'].join(delimiter);

test('the packed package, installed without dev dependencies into an empty folder, fires', async (t) => {
  const folder = await temporaryDirectory();
  const tarball = await pack(await temporaryDirectory());
  await writeFile(join(folder, 'package.json'), '{"private": true}\n');
  const sinceMs = performance.now();
  await run('npm', ['install', '--omit=dev', '--prefer-offline', ...QUIET, tarball], {
    cwd: folder,
    timeout: INSTALL_MS_MAX,
  });
  t.diagnostic(`installed in ${Math.round(performance.now() - sinceMs)} ms`);
  const nats = await startNatsServer();

  const node = await startDevNode({
    command: [join(folder, 'node_modules', '.bin', 'carillon')],
    workingDirectory: folder,
    environment: { PATH },
    args: ['--sample', '--nats-url', nats.url],
  });
  const execution = await until('the sample job has fired', async () => {
    const { items } = await node.call('GET', '/v1/jobs/hello/executions');
    return items.find(({ outcome, scheduled_at: at }) => outcome === 'succeeded' && at !== null);
  });
  const byNpx = await run(
    'npx',
    ['--no-install', 'carillon', 'job', 'executions', 'hello', '--output', '--url', node.url],
    {
      cwd: folder,
    },
  );
  // npm ignores a dependency's `overrides`: the NATS packages must fit together without them.
  const byNats = await until('the NATS door is open', async () => {
    const ended = await carillon(['job', 'list', '--json'], { CARILLON_URL: nats.url });
    return ended.code === 0 ? ended : undefined;
  });
  const installed = await readdir(join(folder, 'node_modules'));
  const ended = await node.stop();
  await nats.stop();

  assert.match(String(execution['output']), /^hello from hello, due at /);
  assert.match(byNpx.stdout, /succeeded[\s\S]*hello from hello/);
  assert.match(byNats.out, /"name":"hello"/);
  assert.equal(ended.code, 0);
  for (const name of ['typescript', 'fast-check', '@biomejs']) assert.ok(!installed.includes(name), name);
});

/**
 * Of this compiled tree, wherever it lies: packing the project itself would build it again under the feet of the tests.
 */
async function pack(stage: string): Promise<string> {
  const root = projectRoot();
  const names = (await readdir(root)).filter((name) => PACKED.includes(name));
  for (const name of names) await cp(join(root, name), join(stage, name), { recursive: true });
  await cp(fileURLToPath(new URL('../../src', import.meta.url)), join(stage, 'dist', 'src'), { recursive: true });
  const { stdout } = await run('npm', ['pack', '--ignore-scripts', '--json', ...QUIET], { cwd: stage });
  const [{ filename }] = JSON.parse(stdout) as [{ filename: string }];
  return join(stage, filename);
}

const PACKED = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'docs'];
