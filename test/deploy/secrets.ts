import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../helpers/project-root.ts';

/** Has the shipped script make secrets, in a copy of its folder, and puts them into `target`, which must not exist. */
export async function makeSecrets(target: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-secrets-'));
  try {
    const script = join(directory, 'make-secrets.sh');
    await copyFile(join(projectRoot(), 'deploy', 'make-secrets.sh'), script);
    await promisify(execFile)('sh', [script]);
    await rename(join(directory, 'secrets'), target);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
