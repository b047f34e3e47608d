/**
 * `npm run chaos -- [--seed N] [--minutes 15] [--servers 3|5] [--nats 1|3] [--faults KIND,KIND] [--json] [--keep]`: real
 * processes under load and faults, then the judge. Exit code 0 only where everything that was promised was kept.
 *
 *   main ── (again, in a network and mount table of its own) ── run-chaos
 *                                                                 ├── chaos-cluster   servers, agents, NATS
 *                                                                 ├── plan, faults    what is done to them
 *                                                                 ├── *-load, runs    what is asked of them
 *                                                                 └── judge, report   what became of it
 */
import { spawn, spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findNatsServer } from '../helpers/nats-server.ts';
import { projectRoot } from '../helpers/project-root.ts';
import { INSIDE, lookAround, wordsOfPrivateWorld } from './machine.ts';
import { type ChaosOptions, readOptions } from './options.ts';
import { replayLine, writeReport } from './report.ts';
import { runChaos } from './run-chaos.ts';

const SEEDS = 1_000_000;

// Each node and nats-server is killed with us.
process.setMaxListeners(100);
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130));
endWithParent();
const options = optionsOf(process.argv.slice(2));
if (process.env[INSIDE] === undefined) await enter(options);
else process.exitCode = await run(options);

/** Runs this again inside; the seed goes along. What comes from the network is fetched before. */
async function enter({ seed }: ChaosOptions): Promise<void> {
  const nats = await findNatsServer();
  await lookAround();
  const words = wordsOfPrivateWorld();
  const args = [...process.argv.slice(1), ...(process.argv.includes('--seed') ? [] : ['--seed', String(seed)])];
  const [program = '', ...rest] = [...words, process.execPath, ...process.execArgv, ...args];
  const environment = { ...process.env, NATS_SERVER: nats, [INSIDE]: words.length > 0 ? 'yes' : 'no' };
  const child = spawn(program, rest, { stdio: 'inherit', env: environment });
  process.on('exit', () => child.kill('SIGTERM'));
  process.exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function run(chosen: ChaosOptions): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-chaos-'));
  const tell = (what: string): void => {
    process.stderr.write(`chaos: ${what}\n`);
  };
  try {
    const report = await runChaos(chosen, { directory, commit: commitOf(), tell });
    console.log(chosen.isJson ? JSON.stringify(report, null, 2) : writeReport(report));
    const isGood = report.violations.length === 0;
    if (isGood && !chosen.isKeeping) await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    else tell(`logs, data and history are kept in ${directory}`);
    return isGood ? 0 : 1;
  } catch (error) {
    tell(`it broke down: ${error instanceof Error ? error.stack : String(error)}`);
    tell(`logs and data are kept in ${directory}; again: ${replayLine(chosen)}`);
    return 1;
  } finally {
    // Whatever is left of the cluster is killed as this process ends.
    setImmediate(() => process.exit());
  }
}

/** Whoever started this may be killed without a word; a cluster must not go on for nobody. */
function endWithParent(): void {
  const parent = process.ppid;
  const look = (): void => {
    if (process.ppid !== parent) process.exit(1);
  };
  setInterval(look, 1_000).unref();
}

function optionsOf(args: readonly string[]): ChaosOptions {
  try {
    return readOptions(args, () => Math.floor(Math.random() * SEEDS));
  } catch (error) {
    console.error(`chaos: ${error instanceof Error ? error.message : String(error)}`);
    process.exit(2);
  }
}

function commitOf(): string {
  const { stdout } = spawnSync('git', ['describe', '--always', '--dirty'], { cwd: projectRoot(), encoding: 'utf8' });
  return (stdout ?? '').trim() || 'unknown';
}
