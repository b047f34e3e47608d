/** Programs that tests need and that not every machine has: from the PATH, or from Debian's package, without root. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from './project-root.ts';

export async function findOnPath(program: string): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(directory, program);
    if (directory !== '' && (await isExecutable(candidate))) return candidate;
  }
  return undefined;
}

/**
 * A file of the package, which is unpacked once under `node_modules/.cache`, into one folder with packages that it needs.
 * Rejects where it is not to be had.
 */
export async function fileOfDebianPackage(name: string, path: string, needed: readonly string[] = []): Promise<string> {
  const cache = join(projectRoot(), 'node_modules', '.cache', name);
  const cached = join(cache, path);
  if (await exists(cached)) return cached;
  await unpack([name, ...needed], cache);
  if (await exists(cached)) return cached;
  throw new Error(`Debian's package ${name} has no ${path}`);
}

export function isExecutable(path: string): Promise<boolean> {
  return exists(path, constants.X_OK);
}

const run = promisify(execFile);

/** Into a folder of its own, then renamed: several test files may do this at the same time. */
async function unpack(names: readonly string[], cache: string): Promise<void> {
  await mkdir(dirname(cache), { recursive: true });
  const draft = await mkdtemp(`${cache}-`);
  try {
    await download(names, draft);
    const packageFiles = (await readdir(draft)).filter((file) => file.endsWith('.deb'));
    if (packageFiles.length === 0) throw new Error('apt-get downloaded nothing');
    const unpacked = join(draft, 'unpacked');
    for (const file of packageFiles) await run('dpkg-deb', ['-x', join(draft, file), unpacked]);
    await rename(unpacked, cache).catch(async (error: unknown) => {
      if (!(await exists(cache))) throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** A machine whose package lists are empty gets lists of its own in the draft folder, so that no root is needed. */
async function download(names: readonly string[], draft: string): Promise<void> {
  const options = { cwd: draft, timeout: 180_000 };
  try {
    await run('apt-get', ['download', ...names], options);
  } catch {
    const lists = join(draft, 'lists');
    const archives = join(draft, 'archives');
    await mkdir(join(lists, 'partial'), { recursive: true });
    await mkdir(join(archives, 'partial'), { recursive: true });
    const own = ['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${archives}`, '-o', 'Debug::NoLocking=1'];
    await run('apt-get', [...own, 'update'], options);
    await run('apt-get', [...own, 'download', ...names], options);
  }
}

async function exists(path: string, mode = constants.F_OK): Promise<boolean> {
  try {
    await access(path, mode);
    return true;
  } catch {
    return false;
  }
}
