import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { threadId } from 'node:worker_threads';
import { CodedError } from '../base/errors.ts';
import { sha256Hex } from '../base/hash.ts';

/**
 * A lock file that names its process. A process that is gone (also by `kill -9` or a reboot) leaves a stale file, which
 * the next one takes over. It is there for a clear message with a pid: where the judgement fails, as between two
 * containers that share a directory, LevelDB's own lock on each storage, held by the kernel, still refuses.
 */
export interface SystemLock {
  release(): Promise<void>;
}

/** Throws `directory-unusable` where a live process holds it; file system errors pass through. */
export async function takeLock(path: string, directory: string): Promise<SystemLock> {
  const { isEnded: _, ...own } = await describe(process.pid);
  const text = `${JSON.stringify(own)}\n`;
  drafts += 1;
  const draft = `${path}.${process.pid}-${threadId}-${drafts}`;
  await writeFile(draft, text);
  try {
    const holder = await acquire(path, draft, own);
    if (holder !== undefined) throw inUse(directory, holder.pid);
    return { release: () => release(path, text) };
  } finally {
    await rm(draft, { force: true });
  }
}

const ATTEMPTS_MAX = 10;
/** Numbers the drafts of this thread, as several locks may be taken at once. */
let drafts = 0;

interface Holder {
  readonly pid: number;
  /** When the process started, in the kernel's ticks, and which boot of the machine: pids are used again. */
  readonly startedTicks: string;
  readonly machineBoot: string;
}

/**
 * Gives `path` the content of `draft`, or returns the live process that has it. A stale file is replaced only by who
 * has the claim to it, a lock of its own that is named after the stale content: so of many that find the same stale
 * file one replaces it, and one that comes late with an old judgement finds that the content has changed.
 */
async function acquire(path: string, draft: string, own: Holder): Promise<Holder | undefined> {
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
    if (await linked(draft, path)) return undefined;
    const held = await read(path);
    if (held === undefined) continue;
    const holder = parse(held);
    if (holder !== undefined && (await isAlive(holder, own))) return holder;
    const claim = `${path}.${sha256Hex(held).slice(0, 16)}`;
    const claimer = await acquire(claim, draft, own);
    if (claimer !== undefined) return claimer;
    if ((await read(path)) === held) {
      // Replaces the stale lock and gives up the claim in one step.
      await rename(claim, path);
      return undefined;
    }
    await rm(claim, { force: true });
  }
  throw new CodedError('directory-unusable', `${path} changes hands all the time; start one process after the other`);
}

async function describe(pid: number): Promise<Holder & { readonly isEnded: boolean }> {
  const [stat, machineBoot] = await Promise.all([read(`/proc/${pid}/stat`), read('/proc/sys/kernel/random/boot_id')]);
  // The command in field 2 may hold spaces and parentheses; field 22 is counted from behind it.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? [];
  return {
    pid,
    startedTicks: fields[19] ?? '',
    machineBoot: machineBoot?.trim() ?? '',
    // Killed, and only not yet noticed by its parent: its files are closed.
    isEnded: fields[0] === 'Z' || fields[0] === 'X',
  };
}

/** Where the system tells no start times (only Linux does), the pid alone decides, on the safe side. */
async function isAlive(holder: Holder, own: Holder): Promise<boolean> {
  if (holder.machineBoot !== own.machineBoot) return false;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if (codeOf(error) === 'ESRCH') return false;
  }
  const now = await describe(holder.pid);
  if (now.isEnded) return false;
  return now.startedTicks === '' || now.startedTicks === holder.startedTicks;
}

async function release(path: string, text: string): Promise<void> {
  if ((await read(path)) === text) await rm(path, { force: true });
}

async function linked(source: string, target: string): Promise<boolean> {
  try {
    await link(source, target);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    if (code === 'ENOENT' || code === 'ESRCH') return undefined;
    throw error;
  }
}

/** A lock file is written before it gets its name, so one that does not parse is not from us: stale. */
function parse(text: string): Holder | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    const { pid, startedTicks, machineBoot } = value as Partial<Record<keyof Holder, unknown>>;
    if (!Number.isSafeInteger(pid) || Number(pid) < 1) return undefined;
    return { pid: Number(pid), startedTicks: String(startedTicks ?? ''), machineBoot: String(machineBoot ?? '') };
  } catch {
    return undefined;
  }
}

function inUse(directory: string, pid: number): CodedError {
  const who = pid === process.pid ? `this process (pid ${pid})` : `another process (pid ${pid})`;
  return new CodedError('directory-unusable', `${directory} is in use by ${who}; stop it or choose another directory`);
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
}
