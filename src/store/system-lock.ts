import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { threadId } from 'node:worker_threads';
import { CodedError } from '../base/errors.ts';

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
  const own = await describe(process.pid);
  const text = `${JSON.stringify(own)}\n`;
  const draft = `${path}.${process.pid}-${threadId}`;
  await writeFile(draft, text);
  try {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      if (await linked(draft, path)) return { release: () => release(path, text) };
      const held = await read(path);
      if (held === undefined) continue;
      const holder = parse(held);
      if (holder !== undefined && (await isAlive(holder, own))) throw inUse(directory, holder.pid);
      await setAside(path, `${draft}.stale`, held);
    }
  } finally {
    await rm(draft, { force: true });
  }
  throw new CodedError('directory-unusable', `${directory} is wanted by several processes at once; start one again`);
}

const ATTEMPTS_MAX = 10;

interface Holder {
  readonly pid: number;
  /** When the process started, in the kernel's ticks, and which boot of the machine: pids are used again. */
  readonly startedTicks: string;
  readonly machineBoot: string;
}

async function describe(pid: number): Promise<Holder> {
  const [stat, machineBoot] = await Promise.all([read(`/proc/${pid}/stat`), read('/proc/sys/kernel/random/boot_id')]);
  // The command in field 2 may hold spaces and parentheses; field 22 is counted from behind it.
  const startedTicks = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return { pid, startedTicks: startedTicks ?? '', machineBoot: machineBoot?.trim() ?? '' };
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
  return now.startedTicks === '' || now.startedTicks === holder.startedTicks;
}

/** Moves a stale lock away; puts it back if it turns out to be one that another process took in the meantime. */
async function setAside(path: string, aside: string, judged: string): Promise<void> {
  try {
    await rename(path, aside);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return;
    throw error;
  }
  if ((await read(aside)) !== judged) await linked(aside, path);
  await rm(aside, { force: true });
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
