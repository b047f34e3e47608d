/** The load of `wrk`, which is written in C and costs little, on etcd's HTTP gateway. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Program } from './debian-programs.ts';

export interface WrkLoad {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  readonly body: string;
}

export interface WrkFigures {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

const run = promisify(execFile);
const GRACE_MS = 10_000;

export async function runWrk({ path, environment }: Program, load: WrkLoad): Promise<WrkFigures> {
  const { url, connections, seconds, body } = load;
  const directory = await mkdtemp(join(tmpdir(), 'carillon-wrk-'));
  try {
    const script = join(directory, 'put.lua');
    await writeFile(script, `wrk.method = "POST"\nwrk.body = '${body}'\n`);
    const whole = Math.max(1, Math.round(seconds));
    const args = ['-t1', `-c${connections}`, `-d${whole}s`, '--latency', '-s', script, `${url}/v3/kv/put`];
    const { stdout } = await run(path, args, {
      env: { PATH: '/usr/bin:/bin', ...environment },
      timeout: 1_000 * whole + GRACE_MS,
      killSignal: 'SIGKILL',
    });
    return readWrk(stdout);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Its report in text. Throws where it tells of errors, or is not what is known. */
export function readWrk(text: string): WrkFigures {
  const perSecond = Number(/^Requests\/sec:\s+([0-9.]+)/m.exec(text)?.[1]);
  const p50Ms = milliseconds(/^\s+50%\s+([0-9.]+(?:us|ms|s))/m.exec(text)?.[1]);
  const p99Ms = milliseconds(/^\s+99%\s+([0-9.]+(?:us|ms|s))/m.exec(text)?.[1]);
  if (/Non-2xx|Socket errors/.test(text) || !Number.isFinite(perSecond + p50Ms + p99Ms)) {
    throw new Error(`wrk: ${text.slice(0, 500)}`);
  }
  return { perSecond, p50Ms, p99Ms };
}

function milliseconds(text = ''): number {
  if (text.endsWith('us')) return Number.parseFloat(text) / 1_000;
  if (text.endsWith('ms')) return Number.parseFloat(text);
  return text === '' ? Number.NaN : Number.parseFloat(text) * 1_000;
}
