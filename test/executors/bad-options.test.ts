/** A bad option is refused at the door; a job that was stored before the door knew better fails with the same words. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFunctionConfig } from '../../src/executors/function-config.ts';
import { HttpExecutor } from '../../src/executors/http-executor.ts';
import { readShellConfig } from '../../src/executors/shell-config.ts';
import { INPUT_BYTES_MAX } from '../../src/jobs/function-options.ts';
import type { Json } from '../../src/jobs/job.ts';
import { checkOptions } from '../../src/jobs/option-check.ts';
import { run, taskOf, textOf } from './running.ts';

type Config = Readonly<Record<string, Json>>;

const good: Readonly<Record<string, Config>> = {
  shell: { command: 'true' },
  http: { method: 'GET', url: 'http://127.0.0.1:1/' },
  function: { module: 'sample.js' },
};

const bad: readonly (readonly [executor: string, key: string, value: Json, message: RegExp, allowed: RegExp])[] = [
  ['shell', 'command', '', /needs it/, /not empty/],
  ['shell', 'command', ' \t', /needs it/, /not empty/],
  ['shell', 'command', 7, /not a string/, /a string/],
  ['shell', 'command', `echo 'open`, /left open/, /quotes are closed.*"shell": "true"/],
  ['shell', 'command', 'echo open\\', /left open/, /quotes are closed/],
  ['shell', 'command', `'' x`, /names no program/, /begins with a program/],
  ['shell', 'command', 'a\0b', /NUL/, /without NUL/],
  ['shell', 'shell', 'yes', /cannot be read/, /true or false/],
  ['shell', 'env', '1X=a', /cannot read "1X=a"/, /NAME=value,NAME=value/],
  ['shell', 'env', 'A=1,B', /cannot read "B"/, /NAME=value,NAME=value/],
  ['shell', 'cwd', '/a\0b', /cannot be read/, /a directory/],
  ['shell', 'timeout', '90', /cannot be read/, /a duration above 0s/],
  ['shell', 'timeout', '0s', /cannot be read/, /a duration above 0s/],
  ['shell', 'mem_limit', 'lots', /cannot be read/, /a size, such as 512MB/],
  ['shell', 'memory_limit', 'lots', /cannot be read/, /a size, such as 512MB/],
  ['shell', 'su', ':wheel', /cannot be read/, /user:group/],
  ['shell', 'payload', 'no base64!', /not base64/, /base64/],
  ['shell', 'payload', 'YWJjZ', /not base64/, /base64/],
  ['http', 'method', '', /needs it/, /not empty/],
  ['http', 'method', 'G ET', /cannot be read/, /such as GET/],
  ['http', 'url', '', /needs it/, /not empty/],
  ['http', 'url', 'ftp://x', /cannot be read/, /begins with http:\/\//],
  ['http', 'url', 'http://', /cannot be read/, /begins with http:\/\//],
  ['http', 'headers', 'X: y', /cannot be read/, /a JSON list of "Name: value"/],
  ['http', 'headers', '{"X":"y"}', /cannot be read/, /a JSON list/],
  ['http', 'headers', '["no colon"]', /cannot be read/, /a JSON list/],
  ['http', 'headers', '["X: a\\nb"]', /cannot be read/, /a JSON list/],
  ['http', 'timeout', 'soon', /cannot be read/, /above 0 and at most 86400/],
  ['http', 'timeout', '0', /cannot be read/, /above 0 and at most 86400/],
  ['http', 'timeout', '100000', /cannot be read/, /above 0 and at most 86400/],
  ['http', 'expectCode', '2xx', /cannot be read/, /such as 200,206/],
  ['http', 'expectCode', '200,', /cannot be read/, /such as 200,206/],
  ['http', 'expectBody', '(', /not a regular expression/, /a regular expression of at most 1000 characters/],
  ['http', 'expectBody', '\\Aok', /JavaScript has no \\A/, /a regular expression/],
  ['http', 'tlsNoVerifyPeer', 'please', /cannot be read/, /true or false/],
  ['function', 'module', '', /needs it/, /not empty/],
  ['function', 'timeout', '-5s', /cannot be read/, /a duration above 0s/],
  ['function', 'mem_limit', 'x', /cannot be read/, /a size, such as 512MB/],
  ['function', 'input', 'x'.repeat(INPUT_BYTES_MAX), /too large/, /at most 65536 bytes/],
];
for (const [executor, key, value, message, allowed] of bad) {
  const shown = JSON.stringify(value).slice(0, 40);
  test(`${executor} refuses ${key} ${shown} at the door, and says the same in a run`, async () => {
    const config = { ...good[executor], [key]: value };

    const { faults } = checkOptions(executor, config);
    const output = await outputOfRun(executor, config);

    const [fault] = faults;
    assert.equal(faults.length, 1);
    assert.equal(fault?.field, `executor_config.${key}`);
    if (key !== 'input') assert.equal(fault.value, value);
    assert.match(fault.message, message);
    assert.match(fault.allowed, allowed);
    assert.ok(output.startsWith(`${executor}: ${fault.field} ${JSON.stringify(fault.value).slice(0, 90)}`), output);
    assert.ok(output.endsWith(`: ${fault.message}; allowed: ${fault.allowed}\n`), output);
  });
}

test('all bad options of a job come at once', async () => {
  const config = { command: 'true', timeout: 'x', env: '=', payload: '!' };

  const output = await outputOfRun('shell', config);

  assert.deepEqual(
    checkOptions('shell', config).faults.map(({ field }) => field),
    ['executor_config.env', 'executor_config.timeout', 'executor_config.payload'],
  );
  assert.equal(output.trimEnd().split('\n').length, 3);
});

test('what is well-formed is taken by both', async () => {
  const table: readonly (readonly [string, Config])[] = [
    ['shell', { command: `echo 'a b'`, env: 'A=1,,B=x=y,', payload: 'YWJj\nZGU=', su: 'nobody:', shell: '0' }],
    ['shell', { command: `echo 'open`, shell: 'True', memory_limit: '1.5 GB', cwd: '/', timeout: '1h30m' }],
    ['function', { module: 'sample.js', input: { deep: [1, null] }, mem_limit: '64MB', export: 'hello' }],
  ];
  for (const [executor, config] of table) {
    assert.deepEqual(checkOptions(executor, config), { faults: [], warnings: [] });
    assert.equal(await outputOfRun(executor, config), '');
  }
  const http = { timeout: '0.5', expectCode: '200, 206', expectBody: '(?i)ok', headers: '["A: b", ""]', debug: 'no' };
  assert.deepEqual(checkOptions('http', { ...good['http'], ...http }), { faults: [], warnings: [] });
});

test('options that an executor does not have are warned about, at most ten by name', () => {
  const many = Object.fromEntries(Array.from({ length: 12 }, (_, index) => [`option${index}`, 'x']));

  assert.deepEqual(checkOptions('http', { ...good['http'], expectcode: '200', cwd: '/' }), {
    faults: [],
    warnings: ['the http executor ignores in executor_config: expectcode, cwd'],
  });
  assert.match(checkOptions('shell', { command: 'x', ...many }).warnings.join(), /option9 and 2 more$/);
});

/** Of a run as configured; nothing is started for a good one of these. */
async function outputOfRun(executor: string, config: Config): Promise<string> {
  const task = taskOf(config, { executor });
  if (executor === 'http') return outputOfHttp(config);
  const read = executor === 'shell' ? readShellConfig(task, {}) : readFunctionConfig(task);
  return read.type === 'fault' ? read.text : '';
}

async function outputOfHttp(config: Config): Promise<string> {
  const http = new HttpExecutor();
  const ending = await run(http, taskOf(config, { executor: 'http' }));
  await http.close();
  assert.deepEqual([ending.outcome, ending.reason], ['failed', 'bad configuration']);
  return textOf(ending);
}
