/**
 * `kill -9` of a node in the middle of its work, again and again, on a real disk. A job fires each second and writes the
 * id of its execution into a file; clients put jobs and run them by hand all along, and note what was acknowledged.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type DevNode, startDevNode, temporaryDirectory, until } from '../helpers/dev-node.ts';
import { assertNoHole, describeFires, readFires } from '../helpers/fires.ts';
import { printedRandom } from '../jobs/seed.ts';

const KILLS = Number(process.env['CARILLON_KILLS'] ?? 10);
const TICKER = 'ticker';

test(`after ${KILLS} kills every acknowledged write is there, and each second has exactly one outcome`, async (t) => {
  const { random } = printedRandom('kill-nine');
  const directory = await temporaryDirectory();
  const file = join(await temporaryDirectory(), 'executions');
  const acknowledged = new Acknowledged();
  let node = await startDevNode({ directory });
  const put = await node.call('POST', '/v1/jobs', {
    body: {
      name: TICKER,
      schedule: '* * * * * *',
      keep_runs: 10_000,
      command: `echo "$CARILLON_EXECUTION" >> ${file}`,
    },
  });

  for (let kill = 1; kill <= KILLS; kill += 1) {
    const lifeMs = 300 + Math.floor(random() * 1_700);
    const clients = [0, 1].map((client) => writeUntilGone(node, `w-${kill}-${client}`, acknowledged));
    await pause(lifeMs);
    await node.stop('SIGKILL');
    await Promise.all(clients);
    node = await startDevNode({ directory });
  }
  const paused = await node.call('POST', `/v1/jobs/${TICKER}/toggle`);
  await until('no fire is open', async () => {
    const fires = await readFires(node, TICKER);
    return fires.length > 0 && fires.every(({ outcome }) => outcome !== 'open') ? true : undefined;
  });
  const fires = await readFires(node, TICKER);
  const executions = (await node.call('GET', `/v1/jobs/${TICKER}/executions?_end=100000&output_size_limit=0`)).items;
  const runs = (await node.call('GET', `/v1/jobs/${TICKER}/runs?_end=100000`)).items;
  const written = (await readFile(file, 'utf8')).trimEnd().split('\n');

  t.diagnostic(`${acknowledged.jobs.size} jobs and ${acknowledged.runs.size} runs were acknowledged`);
  t.diagnostic(`fires: ${describeFires(fires)}`);
  assert.ok(acknowledged.jobs.size >= KILLS, 'clients wrote in each life');
  await assertAcknowledged(node, acknowledged);
  const lastMs = Date.parse(String(paused.headers['date'])) - 2_000;
  assertNoHole(fires, Date.parse(String(put.body['next'])), lastMs);
  const started = new Set(written);
  assert.equal(started.size, written.length, 'no execution was started twice');
  const known = new Map(executions.map((execution) => [String(execution['id']), execution]));
  for (const id of started) assert.ok(known.has(id), `execution ${id} was started and is known`);
  for (const [id, { outcome }] of known) {
    assert.ok(outcome !== 'succeeded' || started.has(id), `execution ${id} has succeeded without having been started`);
  }
  const runIds = new Set(runs.map(({ id }) => id));
  for (const { outcome, run } of fires) assert.ok(outcome !== 'ran' || runIds.has(run), `run ${run} is there`);
  await node.stop();
});

/** What the API has said yes to. */
class Acknowledged {
  readonly jobs = new Map<string, Readonly<Record<string, unknown>>>();
  /** By id: the job, and the state where the answer brought the result. */
  readonly runs = new Map<string, { readonly job: string; readonly state: string | null }>();
}

/** Puts a job, runs it and waits, runs it without waiting, and so on, until nobody answers any more. */
async function writeUntilGone(node: DevNode, prefix: string, acknowledged: Acknowledged): Promise<void> {
  let isGone = false;
  void node.ended.then(() => {
    isGone = true;
  });
  for (let number = 0; !isGone; number += 1) {
    const name = `${prefix}-${number}`;
    try {
      const job = { name, schedule: '@every 1h', command: `echo ${name}`, owner: `owner of ${name}` };
      const put = await node.call('POST', '/v1/jobs', { body: job });
      assert.equal(put.status, 201, put.text);
      acknowledged.jobs.set(name, put.body);
      const waited = await node.call('POST', `/v1/jobs/${name}/run`);
      assert.equal(waited.status, 200, waited.text);
      note(acknowledged, name, waited.body, true);
      const noted = await node.call('POST', `/v1/jobs/${name}/run?wait=false`);
      assert.equal(noted.status, 202, noted.text);
      note(acknowledged, name, noted.body, false);
    } catch (error) {
      // The node was killed under the call, so nothing was promised; anything else is a finding.
      if (error instanceof assert.AssertionError) throw error;
      await node.ended;
    }
  }
}

function note(
  acknowledged: Acknowledged,
  job: string,
  body: Readonly<Record<string, unknown>>,
  isEnded: boolean,
): void {
  const { id, state } = body['run'] as { id: string; state: string };
  acknowledged.runs.set(id, { job, state: isEnded ? state : null });
}

async function assertAcknowledged(node: DevNode, { jobs, runs }: Acknowledged): Promise<void> {
  for (const [name, stored] of jobs) {
    const { status, body } = await node.call('GET', `/v1/jobs/${name}`);
    assert.equal(status, 200, `job ${name} is there`);
    for (const field of ['uid', 'owner', 'executor_config', 'created_at']) assert.deepEqual(body[field], stored[field]);
  }
  for (const [id, { job, state }] of runs) {
    const run = await until(`run ${id} has ended`, async () => {
      const { status, body } = await node.call('GET', `/v1/jobs/${job}/runs/${id}`);
      assert.equal(status, 200, `run ${id} is there`);
      return body['finished_at'] === null ? undefined : body;
    });
    if (state !== null) assert.equal(run['state'], state, `run ${id} keeps its result`);
    if (run['state'] !== 'succeeded') continue;
    const executions = run['executions'] as { outcome: string; output?: string }[];
    assert.equal(executions.find(({ outcome }) => outcome === 'succeeded')?.output, `${job}\n`, `output of ${id}`);
  }
}
