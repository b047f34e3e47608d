/** The short version of `npm run chaos`: one of each of the plainer faults, within a minute and a half. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ChaosReport } from './report.ts';

const MAIN = fileURLToPath(new URL('main.js', import.meta.url));
const FAULTS = ['kill-leader', 'kill-follower', 'kill-agent', 'pause-leader', 'nats-kill', 'disk-full'];
/** Found by looking for one that has all six within its time. */
const SEED = 0;
const MINUTES = 0.7;

test('three servers and two agents keep their promises while they are killed, stopped and cut off', async (t) => {
  const args = ['--seed', String(SEED), '--minutes', String(MINUTES), '--faults', FAULTS.join(','), '--json'];

  const { code, out, error } = await run([MAIN, ...args]);

  assert.equal(code, 0, `${error}\n${out}`);
  const report = JSON.parse(out) as ChaosReport;
  t.diagnostic(
    `seed ${report.options.seed}; ${JSON.stringify(report.leftOut)} left out; fires: ${report.fires.outcomes}`,
  );
  assert.deepEqual(report.violations, []);
  const done = new Set([...report.faults.map(({ kind }) => kind), ...Object.keys(report.leftOut)]);
  assert.deepEqual([...done].sort(), [...FAULTS].sort(), 'each fault was there, or it was said why not');
  assert.ok(report.registers.acknowledged > 0 && report.registers.reads > 0, JSON.stringify(report.registers));
  assert.ok(report.fires.count > 0 && report.fires.starts > 0, JSON.stringify(report.fires));
  assert.ok(report.handRuns.acknowledged > 0, JSON.stringify(report.handRuns));
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

function run(words: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, words, { stdio: ['ignore', 'pipe', 'pipe'] });
  const texts = { out: '', error: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    texts.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    texts.error += text;
  });
  const killWithUs = (): void => {
    child.kill('SIGTERM');
  };
  process.once('exit', killWithUs);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      process.off('exit', killWithUs);
      resolve({ code, ...texts });
    });
  });
}
