import { spawn } from 'node:child_process';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createHttpDoor } from '../../src/api/fastify-http.ts';
import { SystemClock } from '../../src/base/system-clock.ts';
import { FakeBackend, fakeContext } from '../api/fake-backend.ts';

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

/** Runs the executable with arguments; `input` goes to its standard input. */
export function carillon(
  args: readonly string[],
  options: {
    readonly env?: NodeJS.ProcessEnv;
    readonly input?: string;
    /** Nobody reads what it prints, as after `| head -0`. */
    readonly isDeaf?: boolean;
    /** Sent once it is there. */
    readonly signal?: Promise<NodeJS.Signals>;
  } = {},
): Promise<Ended> {
  const file = fileURLToPath(new URL('./cli-process.js', import.meta.url));
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], ...options.env };
  const child = spawn(process.execPath, [file, ...args], { env, stdio: 'pipe' });
  const out: Buffer[] = [];
  const error: Buffer[] = [];
  if (options.isDeaf === true) {
    child.stdout.destroy();
    child.stderr.destroy();
  }
  child.stdout.on('data', (chunk) => out.push(chunk));
  child.stderr.on('data', (chunk) => error.push(chunk));
  child.stdin.on('error', () => {
    // The command ended without reading its input.
  });
  child.stdin.end(options.input ?? '');
  void options.signal?.then((signal) => child.kill(signal));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) =>
      resolve({ code, out: Buffer.concat(out).toString(), error: Buffer.concat(error).toString() }),
    );
  });
}

/** A node over a fake backend, on a real port, and the executable pointed at it. */
export async function serve(options: { readonly apiToken?: string } = {}) {
  const backend = new FakeBackend();
  const context = fakeContext(backend, { clock: new SystemClock() });
  const door = createHttpDoor({ context, nodeName: 'alpha', version: '0.1.0', ...options });
  const url = await door.listen({ host: '127.0.0.1', port: 0 });
  after(() => door.close(0));
  return {
    backend,
    url,
    cli: (args: readonly string[], input?: string, env: NodeJS.ProcessEnv = {}) =>
      carillon(args, { env: { CARILLON_URL: url, ...env }, ...(input === undefined ? {} : { input }) }),
  };
}
