/** On what, with what and when it was measured. Figures without it are worth nothing. */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Latencies } from './latencies.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGigabytes: number;
  readonly kernel: string;
  readonly node: string;
  readonly carillon: string;
  readonly commit: string;
  readonly date: string;
  /** Of the last minute, before the first question. */
  readonly load: number;
}

export function describeMachine(): Machine {
  const all = cpus();
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryGigabytes: totalmem() / 2 ** 30,
    kernel: release(),
    node: process.version,
    carillon: versionOf(),
    commit: commitOf(),
    date: new Date().toISOString(),
    load: loadavg()[0] ?? 0,
  };
}

export interface SyncFacts {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Appends 256 bytes and waits until they are on the disk, again and again, where the nodes' directories lie. */
export function measureSync(milliseconds: number): SyncFacts {
  const directory = mkdtempSync(join(tmpdir(), 'carillon-sync-'));
  const file = openSync(join(directory, 'log'), 'a');
  const bytes = Buffer.alloc(256, 1);
  const latencies = new Latencies();
  const beganMs = performance.now();
  const endMs = beganMs + milliseconds;
  try {
    for (let nowMs = beganMs; nowMs < endMs; ) {
      writeSync(file, bytes);
      fdatasyncSync(file);
      const thenMs = nowMs;
      nowMs = performance.now();
      latencies.add(nowMs - thenMs);
    }
  } finally {
    closeSync(file);
    rmSync(directory, { recursive: true, force: true });
  }
  const { p50Ms, p99Ms } = latencies.measures();
  return { perSecond: (1_000 * latencies.count) / (performance.now() - beganMs), p50Ms, p99Ms };
}

function versionOf(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { readonly version: string }).version;
}

/** `unknown` outside a checkout; with changes that are in no commit, it says so. */
function commitOf(): string {
  const directory = fileURLToPath(new URL('.', import.meta.url));
  const git = (...args: readonly string[]) =>
    execFileSync('git', ['-C', directory, ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const commit = git('rev-parse', '--short=12', 'HEAD');
    return git('status', '--porcelain') === '' ? commit : `${commit} with changes`;
  } catch {
    return 'unknown';
  }
}
