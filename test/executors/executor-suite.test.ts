import assert from 'node:assert/strict';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { after, before } from 'node:test';
import type { Ending, Executor, Task } from '../../src/executors/executor.ts';
import { HttpExecutor } from '../../src/executors/http-executor.ts';
import { callOf, newFunctions, newShell, run, taskOf } from './running.ts';

/** What every executor promises; each is run for real. */
interface Subject {
  readonly name: string;
  readonly create: () => Executor;
  readonly succeeds: () => Task;
  readonly fails: () => Task;
  readonly isBad: () => Task;
  readonly hangs: () => Task;
}

let server: Server;
let url = '';
before(async () => {
  server = createServer((request, response) => {
    if (request.url !== '/hang') response.end('done');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const subjects: readonly Subject[] = [
  {
    name: 'shell',
    create: () => newShell(),
    succeeds: () => taskOf({ command: 'echo done' }),
    fails: () => taskOf({ command: 'false' }),
    isBad: () => taskOf({}),
    hangs: () => taskOf({ command: 'sleep 300' }),
  },
  {
    name: 'function',
    create: () => newFunctions(),
    succeeds: () => callOf('greet'),
    fails: () => callOf('fail'),
    isBad: () => taskOf({}),
    hangs: () => callOf('loop'),
  },
  {
    name: 'http',
    create: () => new HttpExecutor(),
    succeeds: () => taskOf({ method: 'GET', url }),
    fails: () => taskOf({ method: 'GET', url, expectCode: '500' }),
    isBad: () => taskOf({}),
    hangs: () => taskOf({ method: 'GET', url: `${url}/hang` }),
  },
];

for (const subject of subjects) {
  test(`${subject.name}: success, failure and bad configuration end once each, never from within start`, async () => {
    const executor = subject.create();
    const endings: Ending[] = [];

    for (const task of [subject.succeeds(), subject.fails(), subject.isBad()]) {
      await new Promise<void>((resolve) => {
        let hasReturned = false;
        executor.start(task, (ending) => {
          assert.ok(hasReturned, 'ended from within start');
          endings.push(ending);
          resolve();
        });
        hasReturned = true;
      });
    }
    await executor.close();

    assert.deepEqual(
      endings.map((ending) => ending.outcome),
      ['succeeded', 'failed', 'failed'],
    );
    assert.equal(endings[2]?.reason, 'bad configuration');
  });

  test(`${subject.name}: what is cancelled right after its start ends as cancelled`, async () => {
    const executor = subject.create();
    const task = subject.hangs();
    const ended = run(executor, task);

    executor.cancel('unknown', 0);
    executor.cancel(task.execution, 0);
    executor.cancel(task.execution, 0);
    const ending = await ended;
    await executor.close();

    assert.equal(ending.outcome, 'cancelled');
  });

  test(`${subject.name}: close ends what runs`, async () => {
    const executor = subject.create();
    const ended = run(executor, subject.hangs());
    await run(executor, subject.succeeds());

    await executor.close();

    const ending = await ended;
    assert.notEqual(ending.outcome, 'succeeded');
  });
}
