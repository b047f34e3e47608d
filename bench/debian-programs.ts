/** Programs that the bench measures against, from the PATH or from Debian. Where one is not to be had, the bench says so. */
import { dirname, join } from 'node:path';
import { fileOfDebianPackage, findOnPath } from '../test/helpers/debian-package.ts';

export interface Program {
  readonly path: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** The 3.4 that Debian has. */
export function findEtcd(): Promise<Program | undefined> {
  return find('etcd', 'etcd-server');
}

export function findWrk(): Promise<Program | undefined> {
  return find('wrk', 'wrk', ['libluajit-5.1-2']);
}

async function find(
  program: string,
  packageName: string,
  needed: readonly string[] = [],
): Promise<Program | undefined> {
  const onPath = await findOnPath(program);
  if (onPath !== undefined) return { path: onPath, environment: {} };
  try {
    const path = await fileOfDebianPackage(packageName, `usr/bin/${program}`, needed);
    const libraries = join(dirname(path), '..', 'lib');
    const folders = ['x86_64', 'aarch64'].map((machine) => join(libraries, `${machine}-linux-gnu`));
    return { path, environment: { LD_LIBRARY_PATH: folders.join(':') } };
  } catch {
    // No Debian, or no network: there is no such program here.
    return undefined;
  }
}
