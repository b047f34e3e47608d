/**
 * Programs that the bench measures with or against: from the PATH, or from Debian's packages, which are unpacked once
 * under `node_modules/.cache` and need no root. Where one is not to be had, the bench says so and goes on without.
 */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { findOnPath } from './tracer.ts';

export interface Program {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** The 3.4 that Debian has. */
export function findEtcd(): Promise<Program | undefined> {
  return find('etcd', ['etcd-server']);
}

export function findWrk(): Promise<Program | undefined> {
  return find('wrk', ['wrk', 'libluajit-5.1-2']);
}

const run = promisify(execFile);
const CACHE = fileURLToPath(new URL('../../node_modules/.cache/', import.meta.url));
const DOWNLOAD_MS_MAX = 60_000;

async function find(name: string, packages: readonly string[]): Promise<Program | undefined> {
  const onPath = await findOnPath(name);
  if (onPath !== undefined) return { path: onPath, environment: {} };
  const folder = join(CACHE, `bench-${name}`);
  const path = join(folder, 'usr', 'bin', name);
  if (!(await isExecutable(path))) {
    try {
      await unpack(folder, packages);
    } catch {
      // No Debian, or no network: there is no such program here.
      return undefined;
    }
  }
  if (!(await isExecutable(path))) return undefined;
  const libraries = ['x86_64', 'aarch64'].map((machine) => join(folder, 'usr', 'lib', `${machine}-linux-gnu`));
  return { path, environment: { LD_LIBRARY_PATH: libraries.join(':') } };
}

/** Into a folder of its own, then renamed: what is half unpacked is never taken for the whole. */
async function unpack(folder: string, packages: readonly string[]): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  const draft = await mkdtemp(`${folder}-`);
  try {
    await download(draft, packages);
    const unpacked = join(draft, 'unpacked');
    for (const file of await readdir(draft)) {
      if (file.endsWith('.deb')) await run('dpkg-deb', ['-x', join(draft, file), unpacked]);
    }
    await rename(unpacked, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}

/** A machine whose package lists are empty gets lists of its own in the draft folder, so that no root is needed. */
async function download(draft: string, packages: readonly string[]): Promise<void> {
  const options = { cwd: draft, timeout: DOWNLOAD_MS_MAX };
  try {
    await run('apt-get', ['download', ...packages], options);
  } catch {
    const lists = join(draft, 'lists');
    const archives = join(draft, 'archives');
    await mkdir(join(lists, 'partial'), { recursive: true });
    await mkdir(join(archives, 'partial'), { recursive: true });
    const own = ['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${archives}`, '-o', 'Debug::NoLocking=1'];
    await run('apt-get', [...own, 'update'], options);
    await run('apt-get', [...own, 'download', ...packages], options);
  }
}

function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
