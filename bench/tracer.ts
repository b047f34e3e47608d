/** What strace does for the bench: it makes syncs slow, and counts them. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findOnPath } from '../test/helpers/debian-package.ts';
import { pause } from './harness.ts';

/** LevelDB syncs what it has written; the log writes with O_DSYNC. */
const SYNCS = 'fdatasync,fsync,pwrite64';

/** On the PATH; undefined where there is none. */
export async function findStrace(): Promise<string | undefined> {
  return findOnPath('strace');
}

/** Put before a command: each of its syncs takes so much longer, and its pid stays that of the command itself. */
export function slowSyncs(strace: string, milliseconds: number): readonly string[] {
  const inject = `inject=${SYNCS}:delay_enter=${1_000 * milliseconds}`;
  return [strace, '-D', '-f', '-qq', '--seccomp-bpf', '-o', '/dev/null', '-e', `trace=${SYNCS}`, '-e', inject];
}

/** How often each process syncs in a second, over so many; undefined where strace may not look. */
export async function countSyncs(
  strace: string,
  pids: readonly number[],
  seconds: number,
): Promise<readonly number[] | undefined> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-strace-'));
  try {
    const counts = await Promise.all(pids.map((pid) => countOne(strace, pid, seconds, join(directory, String(pid)))));
    return counts.every((count) => count !== undefined) ? counts : undefined;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function countOne(strace: string, pid: number, seconds: number, file: string): Promise<number | undefined> {
  const args = ['-c', '-f', '-e', `trace=${SYNCS}`, '-o', file, '-p', String(pid)];
  const tracer = spawn(strace, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const killWithUs = () => tracer.kill('SIGKILL');
  process.once('exit', killWithUs);
  const ended = new Promise<void>((resolve) => {
    tracer.once('error', () => resolve());
    tracer.once('exit', () => resolve());
  });
  // It says so once it is attached, which takes a while where there is much to do.
  await Promise.race([new Promise((resolve) => tracer.stderr.once('data', resolve)), ended]);
  const beganMs = performance.now();
  await Promise.race([pause(1_000 * seconds), ended]);
  const tookSeconds = (performance.now() - beganMs) / 1_000;
  // It writes its table when it is interrupted, and the process goes on.
  tracer.kill('SIGINT');
  await ended;
  process.off('exit', killWithUs);
  const table = await readFile(file, 'utf8').catch(() => '');
  const calls = [...table.matchAll(/^\s*[0-9.]+\s+[0-9.]+\s+[0-9]+\s+([0-9]+)\s.*f(?:data)?sync$/gm)];
  if (calls.length === 0) return undefined;
  return calls.reduce((sum, [, count]) => sum + Number(count), 0) / tookSeconds;
}
