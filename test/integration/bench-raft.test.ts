/** Each question about agreement is asked for a moment, of real processes. What matters is that it answers, not what. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { judge, RAFT_FLOORS } from '../../bench/figure.ts';
import { type BenchContext, FULL_SCALE, type Question } from '../../bench/harness.ts';
import { connectClient, request } from '../../bench/nats-load.ts';
import { silentProgress } from '../../bench/progress.ts';
import { raft, raftSlowDisk } from '../../bench/raft.ts';
import { startRaftCluster } from '../../bench/raft-cluster.ts';
import { failover } from '../../bench/raft-failover.ts';
import { jobPut } from '../../bench/raft-job-put.ts';

const QUESTIONS: readonly (readonly [string, Question])[] = [
  ['raft', raft],
  ['raft-slow-disk', raftSlowDisk],
  ['job-put', jobPut],
  ['failover', failover],
];

const SMALL: BenchContext = {
  scale: { ...FULL_SCALE, seconds: 0.3, warmUpSeconds: 0.2, commitsInFlight: [1, 256], kills: 1 },
  progress: silentProgress,
  open: () => Promise.reject(new Error('these questions start what they need themselves')),
  startNode: null,
};

for (const [question, ask] of QUESTIONS) {
  test(`the bench measures every floor of ${question}`, { timeout: 120_000 }, async () => {
    const figures = await ask(SMALL);

    assert.ok(figures.every((figure) => figure.question === question));
    for (const { measures, label, note } of figures) {
      const values = Object.entries(measures);
      assert.ok(values.length > 0 || note !== undefined, label);
      for (const [name, value] of values) assert.ok(Number.isFinite(value) && value >= 0, `${label}: ${name} ${value}`);
    }
    const judged = judge(figures, RAFT_FLOORS).filter(({ floor }) => floor.question === question);
    assert.ok(judged.length > 0);
    assert.deepEqual(
      judged.filter(({ verdict }) => verdict === 'not measured'),
      [],
    );
  });
}

test('Raft hosts count each proposal once, one that does not lead refuses, and all of them end', async () => {
  const cluster = await startRaftCluster();
  const connection = await connectClient(cluster.nats);
  const leader = await cluster.leader();
  const follower = cluster.hosts.find((host) => host !== leader.host) ?? '';
  const answers: string[] = [];
  const load = {
    payload: () => Buffer.from('x'),
    check: (answer: { readonly data: Uint8Array }) => answers.push(Buffer.from(answer.data).toString('utf8')) > 0,
    seconds: 0,
  };

  await request(connection, { ...load, subject: () => leader.subject, inFlight: 8 }, 0);
  await request(connection, { ...load, subject: () => cluster.subjectOf(follower), inFlight: 1 }, 0);
  const { count } = await cluster.look(leader.host);
  await connection.close();
  await cluster.close();

  assert.deepEqual(answers, ['1', '2', '3', '4', '5', '6', '7', '8', '!not-leader']);
  assert.equal(count, 8);
  for (const { name, pid } of cluster.processes) {
    await assert.rejects(readFile(`/proc/${pid}/stat`), { code: 'ENOENT' }, name);
  }
});

test('what is refused for now is asked again; a wrong answer, or a subject that nobody hears, ends a load', async () => {
  const cluster = await startRaftCluster();
  const connection = await connectClient(cluster.nats);
  const leader = await cluster.leader();
  const load = { inFlight: 1, seconds: 0, payload: () => Buffer.from('x'), subject: () => leader.subject };
  let answers = 0;
  const check = () => {
    answers += 1;
    return answers === 3;
  };

  const latencies = await request(connection, { ...load, check }, 0);
  const wrong = request(connection, { ...load, check: () => assert.fail('not this one') }, 0);
  await assert.rejects(wrong, /not this one/);
  const unheard = request(connection, { ...load, subject: () => 'bench.nobody', check: () => true }, 0);
  await assert.rejects(unheard, /bench\.nobody: nobody listens/);
  await connection.close();
  await cluster.close();

  assert.deepEqual([answers, latencies.count], [3, 1]);
});
