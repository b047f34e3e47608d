import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, beforeEach } from 'node:test';
import type { Launcher, LaunchListener } from '../../src/executors/launcher.ts';
import type { ChildCommand } from '../../src/executors/shell-config.ts';
import { ShLauncher } from '../../src/executors/system-sh-launcher.ts';

const PATH = process.env['PATH'] ?? '';
const COMMAND: ChildCommand = {
  words: ['true'],
  environment: { PATH },
  directory: '',
  timeoutMs: null,
  memoryBytesMax: null,
  user: '',
  payload: null,
};

/** Takes what it is given, or throws as `spawn` does for arguments that are too long. */
class FakeFallback implements Launcher {
  readonly taken: LaunchListener[] = [];
  isBroken = false;

  launch(_command: ChildCommand, listener: LaunchListener): void {
    if (this.isBroken) throw new Error('spawn E2BIG');
    this.taken.push(listener);
  }

  close(): void {}
}

/** Where the launcher has its files. */
const directory = mkdtempSync(join(tmpdir(), 'carillon-launcher-'));
process.env['TMPDIR'] = directory;
after(() => rmSync(directory, { recursive: true, force: true }));

let fallback = new FakeFallback();
let launcher: Launcher;
beforeEach((context) => {
  fallback = new FakeFallback();
  launcher = ShLauncher.create(fallback, { PATH });
  if ('after' in context) context.after(() => launcher.close());
});

/** How it ends; `exited` for one that a helper has started, which is idle again then. */
function launch(): Promise<string> {
  return new Promise((resolve) => {
    let closed: Promise<unknown> = Promise.resolve();
    launcher.launch(COMMAND, {
      started: (_pid, outputs) => {
        closed = Promise.all(outputs.map((output) => once(output.resume(), 'close')));
      },
      failed: resolve,
      exited: (exitCode) => void closed.then(() => resolve(`exited ${exitCode}`)),
    });
  });
}

test('what the fallback cannot launch has failed with words, and counts no longer as running', async () => {
  fallback.isBroken = true;

  const first = await launch();
  fallback.isBroken = false;
  void launch();

  assert.equal(first, 'shell: cannot start true: spawn E2BIG');
  // Alone again, so not by a helper.
  assert.equal(fallback.taken.length, 1);
});

test('a helper whose files are gone hands over to the fallback, and what that throws is a failure too', async () => {
  void launch();
  const byHelper = await launch();
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
  fallback.isBroken = true;

  const byFallback = await launch();

  assert.equal(byHelper, 'exited 0');
  assert.equal(byFallback, 'shell: cannot start true: spawn E2BIG');
});
