/** User work at its worst, all at once, beside a job that fires each second and must not notice. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type DevNode, MAIN_COMMAND, metricOf, peakResidentBytes, startDevNode, until } from '../helpers/dev-node.ts';
import { makeMemoryCgroup } from '../helpers/memory-cgroup.ts';

const MIB = 1024 * 1024;
const NODE_BYTES_MAX = 300 * MIB;
const ALL_BYTES_MAX = 3_072 * MIB;
const LATENESS_MS_MAX = 100;
const BURNERS = 16;
/** Other work on this machine makes ticks late too; work of our own would do so in each round. */
const ROUNDS_MAX = 3;
const MARK = '31557600';

const FUNCTIONS = fileURLToPath(new URL('./fixtures/', import.meta.url));

interface Hostile {
  readonly name: string;
  readonly executor: 'shell' | 'function';
  readonly config: Readonly<Record<string, string>>;
  readonly outcome: string;
  readonly reason: RegExp;
}

const HOSTILE: readonly Hostile[] = [
  call('hoard', {}, 'failed', /^memory limit$/),
  call('loop', { timeout: '3s' }, 'timed-out', /^time limit of 3000 ms$/),
  // As fast as a pipe takes it, which is far above 100 MB/s.
  shell('flood', 'yes "a line that says little and is written again and again"', '6s', 'timed-out', /^time limit/),
  shell(
    'fork',
    `i=0; while [ $i -lt 2000 ]; do sleep ${MARK} & i=$((i+1)); done; wait`,
    '',
    'failed',
    /^process limit$/,
  ),
];

test('hostile work of all kinds at once neither delays other jobs nor makes an election nor fills the node', async (t) => {
  const group = makeMemoryCgroup('carillon-test', ALL_BYTES_MAX);
  if (group === null) t.diagnostic('no memory cgroup can be made here: only the node itself bounds this work');
  const node = await startDevNode({
    command: [...(group?.command ?? []), ...MAIN_COMMAND] as [string, ...string[]],
    args: ['--functions-dir', FUNCTIONS, '--slots', '64'],
  });
  await put(node, { name: 'watched', schedule: '* * * * * *', command: 'true' });
  for (const { name, executor, config } of HOSTILE) {
    await put(node, { name, schedule: '@manually', executor, executor_config: config });
  }
  const burner = { module: 'hostile.js', export: 'burn', timeout: '60s' };
  await put(node, { name: 'burn', schedule: '@manually', executor: 'function', executor_config: burner });
  await until('the watched job runs', async () => ((await latenesses(node)).length > 0 ? true : undefined));
  const term = await metricOf(node, 'carillon_raft_term');

  const p99s: number[] = [];
  while (p99s.length < ROUNDS_MAX && !p99s.some((ms) => ms < LATENESS_MS_MAX)) {
    const lateMs = await hostileRound(node);
    p99s.push(lateMs[Math.ceil(lateMs.length * 0.99) - 1] ?? Number.POSITIVE_INFINITY);
    t.diagnostic(`the watched job was late by ${lateMs.join(', ')} ms`);
  }
  const termAfter = await metricOf(node, 'carillon_raft_term');
  const nodeBytes = await peakResidentBytes(node.pid);
  await until('all that was forked is gone', async () => ((await forked()) === 0 ? true : undefined));
  await node.stop();
  group?.remove();

  t.diagnostic(`the node had at most ${Math.round(nodeBytes / MIB)} MiB`);
  assert.equal(termAfter, term, 'there was no election');
  assert.ok(nodeBytes < NODE_BYTES_MAX, `the node had ${nodeBytes} bytes`);
  assert.ok(Math.min(...p99s) < LATENESS_MS_MAX, `p99 of the lateness was ${p99s.join(', ')} ms`);
});

/** Does it all at once, checks what became of it, and gives how late the watched job was meanwhile, sorted. */
async function hostileRound(node: DevNode): Promise<readonly number[]> {
  const fromMs = Date.now();
  const hurting = HOSTILE.map(({ name }) => run(node, name));
  const burning = Array.from({ length: BURNERS }, () => run(node, 'burn'));
  const ended = await Promise.all(hurting);
  const burned = await Promise.all(burning);
  const toMs = Date.now();
  const lateMs = await until('the fires in between have run', async () => {
    const late = await latenesses(node, fromMs, toMs);
    return late.every((ms) => ms !== null) ? late.map(Number) : undefined;
  });

  for (const [index, { name, outcome, reason }] of HOSTILE.entries()) {
    const [execution] = ended[index] ?? [];
    assert.equal(execution?.outcome, outcome, `${name}: ${JSON.stringify(execution)}`);
    assert.match(execution?.reason ?? '', reason, name);
  }
  assert.deepEqual(
    burned.map(([execution]) => execution?.outcome),
    Array.from({ length: BURNERS }, () => 'succeeded'),
  );
  assert.ok(lateMs.length >= Math.floor((toMs - fromMs) / 1_000), 'each second has fired');
  return lateMs.toSorted((low, high) => low - high);
}

function call(name: string, config: Record<string, string>, outcome: string, reason: RegExp): Hostile {
  return { name, executor: 'function', config: { module: 'hostile.js', export: name, ...config }, outcome, reason };
}

function shell(name: string, command: string, timeout: string, outcome: string, reason: RegExp): Hostile {
  return { name, executor: 'shell', config: { command, shell: 'true', timeout }, outcome, reason };
}

async function put(node: DevNode, job: Readonly<Record<string, unknown>>): Promise<void> {
  const { status, text } = await node.call('POST', '/v1/jobs', { body: job });
  assert.equal(status, 201, text);
}

async function run(node: DevNode, name: string): Promise<readonly { outcome: string; reason: string }[]> {
  const { status, body, text } = await node.call('POST', `/v1/jobs/${name}/run`, { timeoutMs: 120_000 });
  assert.equal(status, 200, text);
  return (body['run'] as { executions: { outcome: string; reason: string }[] }).executions;
}

/** Of the fires of the watched job in that time; null for one that has not started yet. */
async function latenesses(node: DevNode, fromMs = 0, toMs = Date.now()): Promise<readonly (number | null)[]> {
  const [from, to] = [fromMs, toMs].map((ms) => new Date(ms).toISOString());
  const { body } = await node.call('GET', `/v1/jobs/watched/fires?from=${from}&to=${to}`);
  return (body['items'] as { outcome: string; lateness_ms: number | null }[]).map(({ outcome, lateness_ms: late }) => {
    assert.ok(outcome === 'ran' || outcome === 'open', outcome);
    return late;
  });
}

/** Processes of the job that forks, found by the odd time that they sleep. */
async function forked(): Promise<number> {
  const pids = (await readdir('/proc')).filter((name) => /^[0-9]+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')));
  return lines.filter((line) => line === `sleep\0${MARK}\0`).length;
}
