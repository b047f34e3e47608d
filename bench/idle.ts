/** What does a node need when it has nothing to do, and how soon is it there? */
import { echoJob, noopJob, putJob } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import { type BenchContext, connectTo, type NodeProcess, pause } from './harness.ts';
import { callJson } from './http-client.ts';
import { Latencies } from './latencies.ts';
import { processTree } from './processes.ts';

const STARTS = 3;
const FIRE_MS_MAX = 20_000;
const POLL_MS = 5;
const SAMPLE = 'hello';

export async function idle(context: BenchContext): Promise<Figure[]> {
  const { progress, startNode } = context;
  if (startNode === null) return measureCluster(context);
  progress.step('idle: resident memory');
  const figures = await measureMemory(context, await startNode());
  progress.step('idle: startup');
  const answers = new Latencies();
  const fires = new Latencies();
  for (let start = 0; start < STARTS; start += 1) {
    progress.detail(`${start + 1} of ${STARTS}`);
    const node = await startNode({ args: ['--sample'] });
    try {
      answers.add(node.firstAnswerMs);
      fires.add(await firstFire(node));
    } finally {
      await node.close();
    }
  }
  for (const [label, latencies] of [
    ['start to the first answer of the API', answers],
    ['start to the first finished run of the sample', fires],
  ] as const) {
    const { p50Ms, maxMs } = latencies.measures();
    const note = `${STARTS} starts with new directories, from the start of the process`;
    figures.push({ question: 'idle', label, measures: { p50Ms, maxMs, count: latencies.count }, note });
  }
  return figures;
}

/** Of a cluster that was just started. */
async function measureCluster(context: BenchContext): Promise<Figure[]> {
  const target = await context.open();
  try {
    if (target.processes.length === 0) {
      return [{ question: 'idle', label: 'resident', measures: {}, note: 'not ours to look at' }];
    }
    context.progress.step('idle: letting the cluster settle');
    await pause(context.scale.idleSettleMs);
    return target.processes.map(({ name, pid }) =>
      resident(`resident, ${name}`, processTree(pid)[0]?.residentBytes ?? 0),
    );
  } finally {
    await target.close();
  }
}

async function measureMemory(context: BenchContext, node: NodeProcess): Promise<Figure[]> {
  const { scale, progress } = context;
  const figures: Figure[] = [];
  try {
    progress.detail('letting the node settle');
    await pause(scale.idleSettleMs);
    figures.push(resident('resident, node process', processTree(node.pid)[0]?.residentBytes ?? 0));
    const [connection] = connectTo(node, 1);
    if (connection === undefined) throw new Error('no connection');
    for (const job of [echoJob('bench-echo'), noopJob('bench-noop')]) {
      await putJob(connection, job);
      await callJson(connection, { method: 'POST', path: `/v1/jobs/${job.name}/run`, status: 200 });
    }
    connection.close();
    progress.detail('letting the hosts settle');
    await pause(scale.idleSettleMs);
    for (const { pid, command, residentBytes } of processTree(node.pid)) {
      if (pid === node.pid) figures.push(resident('resident, node process, after one run of each kind', residentBytes));
      else figures.push(resident(`resident, ${hostOf(command)}`, residentBytes));
    }
    return figures;
  } finally {
    await node.close();
  }
}

function resident(label: string, bytes: number): Figure {
  return { question: 'idle', label, measures: { megabytes: bytes / 1e6 } };
}

/** `…/function-host.worker.js …` is the function host. */
function hostOf(command: string): string {
  const name = /([a-z-]+-host)\.worker\.js/.exec(command)?.[1];
  return name === undefined ? (command.split(' ', 1)[0] ?? command) : name.replace('-', ' ');
}

/** From the start of the process until the API shows a finished run of the sample. */
async function firstFire(node: NodeProcess): Promise<number> {
  const [connection] = connectTo(node, 1);
  if (connection === undefined) throw new Error('no connection');
  try {
    for (;;) {
      const elapsedMs = performance.now() - node.startedAtMs;
      if (elapsedMs > FIRE_MS_MAX) throw new Error(`the sample has not fired within ${FIRE_MS_MAX / 1_000} s`);
      const { status, body } = await connection.call('GET', `/v1/jobs/${SAMPLE}`);
      if (status === 200) {
        const { success_count } = JSON.parse(body.toString('utf8')) as { readonly success_count: number };
        if (success_count > 0) return performance.now() - node.startedAtMs;
      }
      await pause(POLL_MS);
    }
  } finally {
    connection.close();
  }
}
