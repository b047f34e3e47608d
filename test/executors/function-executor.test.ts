import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { silentLog } from '../../src/base/telemetry.ts';
import { callOf, fixtures, newFunctions, run, taskOf, textOf } from './running.ts';

const functions = newFunctions();
after(() => functions.close());

test('a function gets its input and context, and what it returns is the result', async () => {
  const task = callOf('greet', { input: { name: 'bell' } });

  const ending = await run(functions, task);

  assert.equal(ending.outcome, 'succeeded');
  assert.deepEqual(JSON.parse(ending.result ?? ''), {
    hello: { name: 'bell' },
    attempt: 1,
    fence: 7,
    run: task.run,
  });
});

test('without `export` the default export is called', async () => {
  const ending = await run(functions, taskOf({ module: 'greeting.js', input: 1 }));

  assert.equal(ending.result, '{"hello":1}');
});

test('a function that returns nothing succeeds without a result', async () => {
  const ending = await run(functions, callOf('noop'));

  assert.deepEqual([ending.outcome, ending.result, ending.outputBytes], ['succeeded', null, 0]);
});

const failures: readonly { readonly name: string; readonly reason: string; readonly text: RegExp }[] = [
  { name: 'fail', reason: 'error', text: /Error: this went wrong\n.*at fail/s },
  { name: 'failWithText', reason: 'error', text: /just text/ },
  { name: 'cycle', reason: 'error', text: /circular/ },
  { name: 'big', reason: 'result too large', text: /the result has 70002 bytes of JSON, at most 65536 are kept/ },
  { name: 'missing', reason: 'error', text: /module sample\.js exports no function named missing/ },
  { name: 'exit', reason: 'thread failed', text: /exited with code: 5/ },
  { name: 'rejectLater', reason: 'thread failed', text: /nobody listens/ },
];
for (const { name, reason, text } of failures) {
  test(`a function that goes wrong is a failure with words: ${name}`, async () => {
    const ending = await run(functions, callOf(name));

    assert.deepEqual([ending.outcome, ending.reason, ending.result], ['failed', reason, null]);
    assert.match(textOf(ending), text);
  });
}

for (const [levels, outcome, reason] of [
  [32, 'succeeded', ''],
  [33, 'failed', 'result too deep'],
  [3_000, 'failed', 'result too deep'],
] as const) {
  test(`a result of ${levels} levels has ${outcome}`, async () => {
    const ending = await run(functions, callOf('nest', { input: levels }));

    assert.deepEqual([ending.outcome, ending.reason], [outcome, reason]);
    assert.equal(ending.result === null, outcome === 'failed');
    const text =
      outcome === 'failed' ? `function: the result is nested ${levels} levels deep, at most 32 are kept\n` : '';
    assert.equal(textOf(ending), text);
  });
}

test('log, console and stdout go to the output, in order', async () => {
  const ending = await run(functions, callOf('talk'));

  assert.equal(textOf(ending), 'one { two: 2 }\nthree\nfour\nfive\n');
});

test('of a long output the end is kept and all of it counted', async () => {
  const ending = await run(functions, callOf('talkMuch', { input: 10_000 }));

  assert.equal(ending.outputBytes, 1_000_000);
  assert.equal(ending.output.length, 256_000);
});

test('a function that loops for ever ends at its time limit, and its output is kept', async () => {
  const ending = await run(functions, callOf('loop', { timeout: '200ms' }));

  assert.equal(ending.outcome, 'timed-out');
  assert.equal(textOf(ending), 'looping\n');
});

test('cancel aborts the signal first, and what comes of it does not count', async () => {
  const task = callOf('untilAborted');
  const ended = run(functions, task);

  functions.cancel(task.execution, 10_000);
  const ending = await ended;

  assert.deepEqual([ending.outcome, ending.result], ['cancelled', null]);
  assert.equal(textOf(ending), 'waiting\naborted\n');
});

test('cancel ends the thread of one that does not listen', async () => {
  const task = callOf('loop');
  const ended = run(functions, task);

  functions.cancel(task.execution, 50);

  assert.equal((await ended).outcome, 'cancelled');
});

const faults: readonly { readonly config: Readonly<Record<string, string>>; readonly text: RegExp }[] = [
  { config: {}, text: /the function executor needs it/ },
  { config: { module: 'nothing.js' }, text: /there is no module nothing\.js/ },
  { config: { module: '../running.js' }, text: /module \.\.\/running\.js lies outside the functions directory/ },
  { config: { module: '/etc/hostname' }, text: /lies outside the functions directory/ },
  { config: { module: '.' }, text: /lies outside/ },
  { config: { module: 'sample.js', timeout: 'soon' }, text: /timeout "soon"/ },
  { config: { module: 'sample.js', mem_limit: 'much' }, text: /mem_limit "much"/ },
];
for (const { config, text } of faults) {
  test(`bad options are a failed ending with words: ${JSON.stringify(config)}`, async () => {
    const ending = await run(functions, taskOf(config));

    assert.deepEqual([ending.outcome, ending.reason], ['failed', 'bad configuration']);
    assert.match(textOf(ending), text);
  });
}

test('a link that leads out of the directory is refused', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'carillon-functions-'));
  symlinkSync(join(fixtures, 'sample.js'), join(directory, 'link.js'));
  const own = newFunctions({ directory });

  const ending = await run(own, taskOf({ module: 'link.js' }));
  await own.close();
  rmSync(directory, { recursive: true });

  assert.match(textOf(ending), /lies outside the functions directory/);
});

test('without a functions directory every call fails with words', async () => {
  const own = newFunctions({ directory: '' });

  const ending = await run(own, callOf('noop'));

  assert.match(textOf(ending), /no functions directory \(setting functions-dir\)/);
  assert.equal(own.host.pid, undefined, 'no process was started');
});

test('a module that does not parse is a failure', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'carillon-functions-'));
  writeFileSync(join(directory, 'broken.mjs'), 'export default function (');
  const own = newFunctions({ directory, log: silentLog });

  const ending = await run(own, taskOf({ module: 'broken.mjs' }));
  await own.close();
  rmSync(directory, { recursive: true });

  assert.equal(ending.outcome, 'failed');
  assert.match(textOf(ending), /SyntaxError/);
});

test('Buffers beyond mem_limit end the thread, and only that one', async () => {
  const bystander = callOf('untilAborted');
  const waiting = run(functions, bystander);

  const ending = await run(functions, callOf('hoard', { input: 1_024, mem_limit: '100MB', timeout: '20s' }));
  functions.cancel(bystander.execution, 5_000);

  assert.deepEqual([ending.outcome, ending.reason], ['failed', 'memory limit']);
  assert.equal(textOf(await waiting), 'waiting\naborted\n');
});

test('Buffers of a function that never yields are found by the size of the process', async () => {
  const own = newFunctions({ residentBytesMax: 300 * 1024 * 1024 });
  await run(own, callOf('noop'));

  const ending = await run(own, callOf('hoardBusily', { input: 400, timeout: '20s' }));
  const next = await run(own, callOf('noop'));
  await own.close();

  assert.deepEqual([ending.outcome, ending.reason], ['failed', 'memory limit']);
  assert.equal(next.outcome, 'succeeded');
});

test('a full heap ends the thread', async () => {
  const own = newFunctions({ callBytesMax: 64 * 1024 * 1024 });

  const ending = await run(own, callOf('hoardObjects', { timeout: '20s' }));
  await own.close();

  assert.deepEqual([ending.outcome, ending.reason], ['failed', 'memory limit']);
});

test('a heap may grow up to the limit of its call', async () => {
  const own = newFunctions({ callBytesMax: 256 * 1024 * 1024 });

  const ending = await run(own, callOf('holdHeap', { input: 200, timeout: '20s' }));
  await own.close();

  assert.deepEqual([ending.outcome, ending.reason], ['succeeded', '']);
});

test('16 pbkdf2 at once all come back', async () => {
  const endings = await Promise.all(
    Array.from({ length: 16 }, () => run(functions, callOf('hash', { input: 20_000 }))),
  );

  assert.deepEqual(new Set(endings.map((ending) => ending.result)), new Set(['64']));
});

test('a crash of the host fails what it had, and the next call gets a new host', async () => {
  const own = newFunctions();
  const bystander = run(own, callOf('untilAborted'));

  const ending = await run(own, callOf('crash'));
  const other = await bystander;
  const next = await run(own, callOf('noop'));
  await own.close();

  assert.equal(ending.reason, 'run host died');
  assert.equal(other.reason, 'run host died');
  assert.equal(next.outcome, 'succeeded');
});
