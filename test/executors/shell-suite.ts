import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import type { Json } from '../../src/jobs/job.ts';
import { newShell, run, taskOf, textOf } from './running.ts';

/** What the shell executor promises, whichever way its children are started. Real processes. */
export function testShell(launcher: 'sh' | 'spawn'): void {
  const shell = newShell({ launcher });
  const directory = mkdtempSync(join(tmpdir(), 'carillon-shell-'));
  // Helpers take over where something runs already.
  before(() => shell.start(taskOf({ command: 'sleep 600' }), () => {}));
  after(async () => {
    await shell.close();
    rmSync(directory, { recursive: true });
  });

  function line(command: string, config: Readonly<Record<string, Json>> = {}): Readonly<Record<string, Json>> {
    return { command, shell: 'true', ...config };
  }

  /** Resolves once a process is gone (or a zombie): what was killed needs a moment to die. */
  async function death(pid: number): Promise<void> {
    assert.ok(pid > 0);
    while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
  }

  function isAlive(pid: number): boolean {
    try {
      return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
    } catch {
      return false;
    }
  }

  const endings: readonly {
    readonly command: string;
    readonly outcome: string;
    readonly reason: string;
    readonly exitCode: number | null;
    readonly signal: string | null;
    readonly output: string;
  }[] = [
    { command: 'echo hello', outcome: 'succeeded', reason: '', exitCode: 0, signal: null, output: 'hello\n' },
    { command: 'true', outcome: 'succeeded', reason: '', exitCode: 0, signal: null, output: '' },
    { command: 'exit 3', outcome: 'failed', reason: 'exit status 3', exitCode: 3, signal: null, output: '' },
    { command: 'exit 255', outcome: 'failed', reason: 'exit status 255', exitCode: 255, signal: null, output: '' },
    {
      command: 'echo no >&2; exit 1',
      outcome: 'failed',
      reason: 'exit status 1',
      exitCode: 1,
      signal: null,
      output: 'no\n',
    },
    {
      command: 'kill -9 $$',
      outcome: 'failed',
      reason: 'signal SIGKILL',
      exitCode: null,
      signal: 'SIGKILL',
      output: '',
    },
    {
      command: 'kill -TERM $$',
      outcome: 'failed',
      reason: 'signal SIGTERM',
      exitCode: null,
      signal: 'SIGTERM',
      output: '',
    },
  ];
  for (const { command, output, ...expected } of endings) {
    test(`sh -c '${command}' is ${expected.outcome} ${expected.reason}`, async () => {
      const ending = await run(shell, taskOf(line(command)));

      const { outcome, reason, exitCode, signal } = ending;
      assert.deepEqual({ outcome, reason, exitCode, signal }, expected);
      assert.equal(textOf(ending), output);
      assert.equal(ending.outputBytes, output.length);
    });
  }

  // A helper that read on in the script of the next run, from where the shorter one before it had ended, died of what
  // it found: one run in about a thousand, so this sees such a mistake in some of its runs, not in each.
  test('long commands follow short ones at once, side by side, and each runs once', async () => {
    const marks = join(directory, 'marks');
    const lane = async (number: number): Promise<void> => {
      for (let round = 0; round < 300; round += 1) {
        const long = `: ${'x'.repeat(100 + (round % 7) * 60)}\n\necho ${number}-${round} >> ${marks}`;
        for (const command of ['true', long]) {
          const ending = await run(shell, taskOf(line(command)));
          assert.equal(ending.outcome, 'succeeded', `${ending.reason}: ${textOf(ending)}`);
        }
      }
    };

    await Promise.all([1, 2, 3].map(lane));

    const written = readFileSync(marks, 'utf8').trim().split('\n');
    assert.equal(written.length, 900);
    assert.equal(new Set(written).size, 900);
  });

  test('without shell the line is split and nothing is expanded', async () => {
    const ending = await run(shell, taskOf({ command: `printf '%s|' "a b" $HOME c\\ d *` }));

    assert.equal(textOf(ending), 'a b|$HOME|c d|*|');
  });

  test('a program that does not exist is a failure that names it', async () => {
    const ending = await run(shell, taskOf({ command: 'no-such-program --flag' }));

    assert.equal(ending.outcome, 'failed');
    assert.equal(ending.reason, 'not started');
    assert.match(textOf(ending), /cannot start no-such-program: no such file, nor on the PATH/);
  });

  const faults: readonly { readonly config: Readonly<Record<string, Json>>; readonly text: RegExp }[] = [
    { config: {}, text: /the shell executor needs it/ },
    { config: { command: '  ' }, text: /the shell executor needs it/ },
    { config: { command: `echo 'open` }, text: /quote or backslash is left open/ },
    { config: { command: 'true', timeout: 'soon' }, text: /timeout "soon": .*a duration/ },
    { config: { command: 'true', timeout: '-1s' }, text: /timeout "-1s": .*a duration/ },
    { config: { command: 'true', mem_limit: 'much' }, text: /mem_limit "much": .*a size/ },
    { config: { command: 'true', env: 'A' }, text: /env "A": .*NAME=value/ },
    { config: { command: 'true', payload: '%' }, text: /payload "%": is not base64/ },
    { config: { command: 'true', su: 'nobody-at-all' }, text: /su nobody-at-all: / },
    { config: { command: 'true', cwd: '/no/such/place' }, text: /no such file or directory/ },
  ];
  for (const { config, text } of faults) {
    test(`bad options are a failed ending with words: ${JSON.stringify(config)}`, async () => {
      const ending = await run(shell, taskOf(config));

      assert.equal(ending.outcome, 'failed');
      assert.match(textOf(ending), text);
    });
  }

  test('a child gets its job, its own env and little else', async () => {
    const task = taskOf(
      { command: 'env', env: 'GREETING=hello world,EMPTY=' },
      { job: 'nightly', attempt: 2, fence: 99, scheduledAtMs: Date.UTC(2026, 0, 2, 3, 4, 5) },
    );

    const ending = await run(shell, task);

    const rows = textOf(ending).trim().split('\n');
    const environment = new Map(rows.map((row) => [row.slice(0, row.indexOf('=')), row.slice(row.indexOf('=') + 1)]));
    assert.equal(environment.get('GREETING'), 'hello world');
    assert.equal(environment.get('EMPTY'), '');
    assert.equal(environment.get('ENV_JOB_NAME'), 'nightly');
    assert.equal(environment.get('CARILLON_JOB'), 'nightly');
    assert.equal(environment.get('CARILLON_RUN'), task.run);
    assert.equal(environment.get('CARILLON_EXECUTION'), task.execution);
    assert.equal(environment.get('CARILLON_ATTEMPT'), '2');
    assert.equal(environment.get('CARILLON_FENCE'), '99');
    assert.equal(environment.get('CARILLON_SCHEDULED_AT'), '2026-01-02T03:04:05.000Z');
    const allowed =
      /^(PATH|HOME|LANG|TZ|GREETING|EMPTY|ENV_JOB_NAME|CARILLON_(JOB|RUN|EXECUTION|ATTEMPT|FENCE|SCHEDULED_AT))$/;
    assert.deepEqual(
      [...environment.keys()].filter((name) => !allowed.test(name)),
      [],
    );
  });

  test('cwd and payload arrive', async () => {
    const payload = Buffer.from('line one\nline two\n').toString('base64');

    const ending = await run(shell, taskOf(line('pwd; cat', { cwd: directory, payload })));

    assert.equal(textOf(ending), `${directory}\nline one\nline two\n`);
  });

  test('a payload that nobody reads is no failure', async () => {
    const payload = Buffer.alloc(1_000_000).toString('base64');

    const ending = await run(shell, taskOf({ command: 'true', payload }));

    assert.equal(ending.outcome, 'succeeded');
  });

  test('the time limit ends the whole group, grandchildren too', async () => {
    const command = `sh -c 'sleep 300 & echo $!; wait' & sleep 300 & echo $!; wait`;

    const ending = await run(shell, taskOf(line(command, { timeout: '200ms' })));

    assert.equal(ending.outcome, 'timed-out');
    assert.equal(ending.signal, 'SIGTERM');
    const pids = textOf(ending).trim().split('\n').map(Number);
    assert.equal(pids.length, 2);
    await Promise.all(pids.map(death));
  });

  test('what ignores TERM is killed after the grace', async () => {
    const task = taskOf(line(`trap '' TERM; echo ready; while :; do sleep 0.05; done`));
    const ended = run(shell, task);
    shell.cancel(task.execution, 100);

    const ending = await ended;

    assert.equal(ending.outcome, 'cancelled');
  });

  test('a cancel that is repeated with a longer grace does not put the end off', async () => {
    const fifo = join(directory, 'stubborn');
    await run(shell, taskOf({ command: `mkfifo ${fifo}` }));
    const task = taskOf(line(`trap '' TERM; echo ready > ${fifo}; while :; do sleep 0.05; done`));
    const ended = run(shell, task);
    await run(shell, taskOf({ command: `cat ${fifo}` }));
    shell.cancel(task.execution, 100);
    shell.cancel(task.execution, 600_000);

    const ending = await ended;

    assert.deepEqual([ending.outcome, ending.signal], ['cancelled', 'SIGKILL']);
  });

  test('a command that is too long for the system is a failure with words', async () => {
    const ending = await run(shell, taskOf(line(`: ${'x'.repeat(200_000)}`)));

    assert.deepEqual([ending.outcome, ending.reason], ['failed', 'not started']);
    assert.match(textOf(ending), /^shell: .*E2BIG/);
  });

  test('a cancelled child may clean up within the grace', async () => {
    const file = join(directory, 'fifo');
    await run(shell, taskOf({ command: `mkfifo ${file}` }));
    const task = taskOf(line(`trap 'echo bye; exit 0' TERM; echo ready > ${file}; while :; do sleep 0.02; done`));
    const ended = run(shell, task);
    await run(shell, taskOf({ command: `cat ${file}` }));

    shell.cancel(task.execution, 10_000);

    const ending = await ended;
    assert.equal(ending.outcome, 'cancelled');
    assert.equal(ending.exitCode, 0);
    assert.match(textOf(ending), /bye\n$/);
  });

  test('a background child that holds the output does not hold the run, and does not outlive it', async () => {
    const ending = await run(shell, taskOf(line('sleep 300 & echo $!')));

    assert.equal(ending.outcome, 'succeeded');
    await death(Number(textOf(ending)));
  });

  test('a background child in a group of its own that holds the output ends too', async () => {
    const ending = await run(shell, taskOf({ command: `bash -c 'set -m; sleep 300 & echo $!'` }));

    assert.equal(ending.outcome, 'succeeded');
    await death(Number(textOf(ending)));
  });

  test('of a long output the end is kept and all of it counted', async () => {
    const command = `head -c 5000000 /dev/zero | tr '\\0' x; echo end`;

    const ending = await run(shell, taskOf(line(command)));

    assert.equal(ending.outputBytes, 5_000_004);
    assert.equal(ending.output.length, 256_000);
    assert.equal(textOf(ending).slice(-5), 'xend\n');
  });

  test('100 MB/s for ever is read at a bounded rate until the time limit', async () => {
    const ending = await run(shell, taskOf({ command: 'yes', timeout: '300ms' }));

    assert.equal(ending.outcome, 'timed-out');
    assert.equal(ending.output.length, 256_000);
    assert.ok(ending.outputBytes > 256_000);
  });

  test('2,000 forks are stopped by the limit on processes', async () => {
    const command = 'i=0; while [ $i -lt 2000 ]; do sleep 300 & i=$((i+1)); done; wait';

    const ending = await run(shell, taskOf(line(command, { timeout: '20s' })));

    assert.equal(ending.outcome, 'failed');
    assert.equal(ending.reason, 'process limit');
  });

  test('memory above mem_limit ends it', async () => {
    const command = `node -e 'const all = []; setInterval(() => all.push(Buffer.alloc(8e6, 1)), 5)'`;

    const ending = await run(shell, taskOf({ command, mem_limit: '150MB', timeout: '20s' }));

    assert.equal(ending.outcome, 'failed');
    assert.equal(ending.reason, 'memory limit');
  });

  test('many at once all end with their own output', async () => {
    const all = Array.from({ length: 64 }, (_, index) => run(shell, taskOf({ command: `echo ${index}` })));

    const endings = await Promise.all(all);

    assert.deepEqual(
      endings.map((ending) => textOf(ending)),
      endings.map((_, index) => `${index}\n`),
    );
  });

  test('when the run host dies its work fails and its children die, and it comes back', async () => {
    const own = newShell({ launcher });
    const marker = join(directory, 'pid');
    await run(own, taskOf({ command: `mkfifo ${marker}` }));
    const dying = run(own, taskOf(line(`echo $$ > ${marker}; sleep 300`)));
    const pid = Number(textOf(await run(own, taskOf({ command: `cat ${marker}` }))));

    await run(own, taskOf({ command: 'sleep 0.5' }));

    process.kill(own.host.pid ?? 0, 'SIGKILL');
    const ending = await dying;
    const next = await run(own, taskOf({ command: 'echo again' }));
    await own.close();

    assert.equal(ending.reason, 'run host died');
    await death(pid);
    assert.equal(textOf(next), 'again\n');
  });

  test('close ends what runs', async () => {
    const own = newShell({ launcher });
    const running = run(own, taskOf({ command: 'sleep 300' }));
    await run(own, taskOf({ command: 'true' }));

    await own.close();

    assert.match((await running).reason, /run host closed|^$/);
  });
}
