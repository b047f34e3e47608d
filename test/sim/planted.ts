/**
 * Proves that the simulation sees mistakes: each of `mistakes.ts` is planted into a copy of the built files, and must
 * be caught within its number of seeds.
 *
 *   npm run sim:planted -- [--only WORDS] [--seeds N] [--events N] [--jobs N]
 */
import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { MISTAKES, type Mistake } from './mistakes.ts';

export interface Verdict {
  readonly mistake: Mistake;
  readonly isCaught: boolean;
  /** Which seed caught it; seeds are taken from 1, so it is also how many there were. Null: none. */
  readonly seed: number | null;
  /** The seed and what it says; or the end of the output where nothing was caught. */
  readonly text: string;
}

/** `built` is the folder with the compiled `src` and `test`. */
export async function plantAndRun(mistake: Mistake, events: number, jobs = 1, built: string = BUILT): Promise<Verdict> {
  const folder = join(projectOf(built), '.build', 'planted', `${process.pid}-${MISTAKES.indexOf(mistake)}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, 'test'), { recursive: true });
  try {
    // Inside the project, so that packages are found.
    cpSync(join(built, 'src'), join(folder, 'src'), { recursive: true });
    for (const part of ['sim', 'linearizability']) {
      cpSync(join(built, 'test', part), join(folder, 'test', part), { recursive: true });
    }
    plant(join(folder, 'src', mistake.file), mistake);
    const args = [
      '--seeds',
      String(mistake.seedsMax),
      '--from',
      '1',
      '--events',
      String(events),
      '--jobs',
      String(jobs),
    ];
    const { code, output } = await run([join(folder, 'test', 'sim', 'main.js'), ...args]);
    const found = /^seed (\d+) fails: .*$/m.exec(output);
    const isCaught = code === 1 && found !== null;
    return { mistake, isCaught, seed: isCaught ? Number(found[1]) : null, text: found?.[0] ?? output.slice(-1_000) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const BUILT = fileURLToPath(new URL('../..', import.meta.url));

function plant(file: string, { name, find, replace }: Mistake): void {
  const text = readFileSync(file, 'utf8');
  const parts = text.split(find);
  if (parts.length !== 2) throw new Error(`'${name}': its place stands ${parts.length - 1} times in ${file}`);
  writeFileSync(file, parts.join(replace));
}

function run(args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, output }));
  });
}

function projectOf(folder: string): string {
  for (let at = folder; at !== dirname(at); at = dirname(at)) if (existsSync(join(at, 'package.json'))) return at;
  throw new Error(`no package.json above ${folder}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      /** Instead of each mistake's own number. */
      seeds: { type: 'string' },
      events: { type: 'string', default: '20000' },
      jobs: { type: 'string', default: '1' },
    },
  });
  let missed = 0;
  console.log('| mistake | caught by seed | what it says |\n|---|---|---|');
  for (const known of MISTAKES.filter(({ name }) => name.includes(values.only))) {
    const mistake = values.seeds === undefined ? known : { ...known, seedsMax: Number(values.seeds) };
    const { isCaught, seed, text } = await plantAndRun(mistake, Number(values.events), Number(values.jobs));
    if (!isCaught) missed += 1;
    const words = text.replace(/^seed \d+ fails: /, '').split('\n')[0];
    console.log(`| ${mistake.name} | ${seed ?? `none of ${mistake.seedsMax}`} | ${words?.slice(0, 160)} |`);
  }
  process.exitCode = missed > 0 ? 1 : 0;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
