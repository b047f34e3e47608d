/**
 * `npm run bench [-- questions…] [--seconds N] [--best-of N] [--kills N] [--rounds N] [--cluster] [--url URL,…]
 * [--out DIR]`: see README.md beside it.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bulk } from './bulk.ts';
import { startCluster } from './cluster.ts';
import { etcd } from './etcd.ts';
import { CLUSTER_FLOORS, FLOORS, RAFT_FLOORS } from './figure.ts';
import { type BenchContext, FULL_SCALE, type Question, runningCluster, type Scale, startNode } from './harness.ts';
import { herd } from './herd.ts';
import { idle } from './idle.ts';
import { list } from './list.ts';
import { log } from './log.ts';
import { describeMachine, measureSync } from './machine.ts';
import { createProgress } from './progress.ts';
import { put } from './put.ts';
import { raft, raftSlowDisk } from './raft.ts';
import { failover } from './raft-failover.ts';
import { jobPut } from './raft-job-put.ts';
import { makeReport, type Section, writeMarkdown } from './report.ts';
import { runAndWait } from './run-and-wait.ts';

/** In the order of the report; idle first, while the machine is. */
const QUESTIONS: ReadonlyMap<string, Question> = new Map([
  ['idle', idle],
  ['run-and-wait', runAndWait],
  ['bulk', bulk],
  ['put', put],
  ['list', list],
  ['herd', herd],
  ['raft', raft],
  ['raft-slow-disk', raftSlowDisk],
  ['job-put', jobPut],
  ['failover', failover],
  ['etcd', etcd],
  ['log', log],
]);

const SYNC_MS = 500;

const { values, positionals } = readArguments();
const progress = createProgress(process.stderr);
const scale = readScale();
const urls = (values.url ?? '').split(',').filter((url) => url !== '');
const isCluster = values.cluster === true;
const context: BenchContext = {
  scale,
  progress,
  open: () => {
    if (urls.length > 0) return Promise.resolve(runningCluster(urls));
    return isCluster ? startCluster() : startNode();
  },
  startNode: urls.length > 0 || isCluster ? null : startNode,
};
const sections: Section[] = [];
const machine = describeMachine();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  // The nodes that were started end with this process.
  process.once(signal, () => process.exit(130));
}
for (const [question, ask] of QUESTIONS) {
  if (positionals.length > 0 && !positionals.includes(question)) continue;
  const sync = measureSync(SYNC_MS);
  try {
    sections.push({ question, sync, figures: await ask(context) });
  } catch (error) {
    // The other questions still have answers.
    const text = error instanceof Error ? error.message : String(error);
    progress.step(`${question}: ${text}`);
    sections.push({ question, sync, figures: [], error: text });
  }
}
progress.done();
const floors = [...(isCluster || urls.length > 0 ? CLUSTER_FLOORS : FLOORS), ...RAFT_FLOORS];
const report = makeReport(machine, scale, sections, floors);
const directory = resolve(values.out ?? join('bench', 'out'));
await mkdir(directory, { recursive: true });
await writeFile(join(directory, 'report.json'), `${JSON.stringify(report, null, 2)}\n`);
await writeFile(join(directory, 'report.md'), writeMarkdown(report));
process.stdout.write(writeMarkdown(report));
process.stderr.write(`\nwritten: ${join(directory, 'report.md')} and report.json\n`);
// A floor that is not met is told, it is no failure of the program; a question without an answer is.
process.exit(sections.some(({ error }) => error !== undefined) ? 1 : 0);

function readArguments() {
  try {
    const read = parseArgs({
      allowPositionals: true,
      options: {
        seconds: { type: 'string' },
        'best-of': { type: 'string' },
        kills: { type: 'string' },
        rounds: { type: 'string' },
        cluster: { type: 'boolean' },
        url: { type: 'string' },
        out: { type: 'string' },
      },
    });
    const unknown = read.positionals.filter((name) => !QUESTIONS.has(name));
    if (unknown.length > 0)
      return fail(`no such question: ${unknown.join(', ')}; there are ${[...QUESTIONS.keys()].join(', ')}`);
    return read;
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function readScale(): Scale {
  const seconds = wholeNumber('seconds', values.seconds, FULL_SCALE.seconds);
  const rounds = FULL_SCALE.herdSeconds / FULL_SCALE.seconds;
  return {
    ...FULL_SCALE,
    seconds,
    bestOf: wholeNumber('best-of', values['best-of'], FULL_SCALE.bestOf),
    kills: wholeNumber('kills', values.kills, FULL_SCALE.kills),
    rounds: wholeNumber('rounds', values.rounds, FULL_SCALE.rounds),
    roundSeconds: values.seconds === undefined ? FULL_SCALE.roundSeconds : seconds,
    herdSeconds: Math.max(2 * FULL_SCALE.herdEverySeconds, seconds * rounds),
  };
}

function wholeNumber(name: string, text: string | undefined, standard: number): number {
  if (text === undefined) return standard;
  return /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : fail(`--${name} ${text}: a whole number from 1 to 9999`);
}

function fail(message: string): never {
  process.stderr.write(`bench: ${message}\n`);
  process.exit(2);
}
