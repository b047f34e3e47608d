/** The nats-server that `dev` starts where one is on the PATH: on loopback, with a random port and a token. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { access, constants, readdir, readFile, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { mortalChild, temporaryDirectory } from './dev-leftovers.ts';

export interface DevNats {
  readonly url: string;
  stop(): Promise<void>;
}

const START_MS = 5_000;
const LOOK_MS = 20;

/** Null where there is no nats-server, or it does not come up: the node works without. */
export async function startDevNats(): Promise<DevNats | null> {
  const binary = await findNatsServer();
  if (binary === undefined) return null;
  const ports = temporaryDirectory('carillon-nats-');
  const directory = ports.path;
  const token = randomBytes(16).toString('hex');
  const child = spawn(binary, ['-a', '127.0.0.1', '-p', '-1', '--auth', token, '--ports_file_dir', directory], {
    stdio: 'ignore',
    // Ctrl-C in a terminal goes to a whole process group: it would end before those who wait have their answers.
    detached: true,
  });
  child.on('error', () => {});
  const mortal = mortalChild(child);
  const stop = async () => {
    await end(child);
    mortal.forget();
    await rm(directory, { recursive: true, force: true });
    ports.forget();
  };
  const port = await portOf(directory, child);
  if (port === undefined) {
    await stop();
    return null;
  }
  return { url: `nats://${token}@127.0.0.1:${port}`, stop };
}

async function findNatsServer(): Promise<string | undefined> {
  for (const directory of (process.env['PATH'] ?? '').split(delimiter)) {
    if (directory === '') continue;
    const path = join(directory, 'nats-server');
    try {
      await access(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next directory may have it.
    }
  }
  return undefined;
}

/** It writes its ports into a file `nats-server_<pid>.ports` once it listens. */
async function portOf(directory: string, child: ChildProcess): Promise<string | undefined> {
  for (let waitedMs = 0; waitedMs < START_MS && child.exitCode === null; waitedMs += LOOK_MS) {
    const name = (await readdir(directory)).find((file) => file.endsWith('.ports'));
    const text = name === undefined ? '' : await readFile(join(directory, name), 'utf8');
    const port = /"nats:\/\/127\.0\.0\.1:([0-9]+)"/.exec(text)?.[1];
    if (port !== undefined) return port;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return undefined;
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.pid === undefined) return resolve();
    child.once('exit', () => resolve());
    child.kill('SIGTERM');
  });
}
