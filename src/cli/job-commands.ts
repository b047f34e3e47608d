/** `carillon job …`: what an operator does with jobs. */
import type { Command } from 'commander';
import {
  type ClientFlags,
  clientGroup,
  fail,
  parseItems,
  parseReply,
  textOf,
  wholeNumber,
  withClientFlags,
  withSession,
} from './client-command.ts';
import type { JobFlags } from './job-file.ts';
import { addHistoryCommands } from './job-history.ts';
import { addRunCommand } from './job-run.ts';
import { table, when } from './output.ts';

export function jobCommands(): Command {
  const job = clientGroup('job', 'put, look at, run and delete jobs');
  addPut(job);
  addGet(job);
  addList(job);
  addDelete(job);
  addToggle(job);
  addRunCommand(job);
  addHistoryCommands(job);
  return job;
}

function addPut(job: Command): void {
  const put = job
    .command('put')
    .description('create a job, or replace it as a whole')
    .argument('[file]', 'JSON document of the job; - reads standard input')
    .option('--name <name>', 'lower-case letters, digits, _ and -')
    .option('--schedule <text>', "when: '0 3 * * *', '@every 5m', '@hourly', '@manually'")
    .option('--command <line>', 'what /bin/sh -c runs')
    .option('--tag <name=value>', 'only nodes with this tag; web:1 picks one of them (repeatable)', collect)
    .option('--targets <all|n>', 'on how many of the matching nodes')
    .option('--timezone <zone>', 'zone that the schedule is read in, such as Europe/Berlin')
    .option('--concurrency <allow|forbid>', 'whether runs of the job may overlap')
    .option('--retries <n>', 'further attempts after a failed one')
    .option('--on-lost <fail|retry>', 'what becomes of an attempt whose node died')
    .option('--start-within <duration>', 'how long a run may wait for a slot, such as 90s')
    .option('--keep-runs <n>', 'finished runs that are kept')
    .option('--parent-job <name>', 'run after this job has succeeded, instead of by a schedule')
    .option('--executor <name>', 'shell, http or function')
    .option(
      '--executor-config <name=value>',
      'option of the executor; input is read as JSON where it is JSON (repeatable)',
      collect,
    )
    .option('--metadata <name=value>', 'label to find the job by (repeatable)', collect)
    .option('--displayname <text>', 'shown instead of the name')
    .option('--owner <text>', 'who looks after it')
    .option('--owner-email <address>', 'how to reach the owner')
    .option('--starts-at <time>', 'nothing before it (RFC 3339)')
    .option('--expires-at <time>', 'nothing after it (RFC 3339)')
    .option('--disabled', 'store it, but do not fire it')
    .option('--ephemeral', 'delete it after its first success')
    .option('--run-on-create', 'run it once, now')
    .addHelpText(
      'after',
      `
Examples:
  carillon job put backup.json
  echo '{"name":"a","schedule":"@hourly","command":"date"}' | carillon job put -
  carillon job put --name report --schedule '0 3 * * *' --command ./report.sh --tag my_role=web:1
  carillon job put --name rows --schedule @hourly --executor function --executor-config module=rows.mjs \\
    --executor-config 'input={"rows": 4}'`,
    );
  withClientFlags(put).action(
    async (file: string | undefined, flags: ClientFlags & JobFlags & { runOnCreate?: boolean }) => {
      let body: string;
      try {
        // The schemas take a while to load, and no other command needs them.
        const { jobDocument } = await import('./job-file.ts');
        body = jobDocument(file, flags);
      } catch (error) {
        return fail(error);
      }
      await withSession(flags, async ({ ask, isJson, print }) => {
        const query = flags.runOnCreate === true ? { query: { runoncreate: 'true' } } : {};
        const reply = await ask({ operation: 'put', body, ...query });
        if (isJson) print(`${reply.text}\n`);
        else {
          const stored = parseReply(reply);
          print(`job ${textOf(stored['name'])} is stored, next ${when(stored['next'], Date.now())}\n`);
        }
        return 0;
      });
    },
  );
}

function addGet(job: Command): void {
  const get = job.command('get').description('show one job').argument('<name>', 'name of the job');
  withClientFlags(get).action((name: string, flags: ClientFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const reply = await ask({ operation: 'get', name });
      if (isJson) {
        print(`${reply.text}\n`);
        return 0;
      }
      const nowMs = Date.now();
      const times = new Set(['next', 'last_success', 'last_error', 'starts_at', 'expires_at', 'created_at']);
      const rows = Object.entries(parseReply(reply))
        .filter(([key, value]) => key !== 'id' && value !== null && value !== '')
        .map(([key, value]) => [key, times.has(key) ? when(value, nowMs) : textOf(value)]);
      print(table(['FIELD', 'VALUE'], rows, ''));
      return 0;
    }),
  );
}

interface ListFlags extends ClientFlags {
  readonly search?: string;
  readonly status?: string;
  readonly disabled?: boolean;
  readonly enabled?: boolean;
  readonly metadata?: readonly string[];
  readonly sort?: string;
  readonly descending?: boolean;
  readonly start?: string;
  readonly limit: string;
}

function addList(job: Command): void {
  const list = job
    .command('list')
    .description('list jobs')
    .option('--search <text>', 'part of the name or display name')
    .option('--status <status>', 'success, failed, partially_failed or untriggered')
    .option('--disabled', 'only disabled ones')
    .option('--enabled', 'only enabled ones')
    .option('--metadata <name=value>', 'only with this label (repeatable)', collect)
    .option('--sort <field>', 'name, schedule, success_count, error_count, last_success, last_error, next')
    .option('--descending', 'greatest first')
    .option('--start <n>', 'leave out the first n')
    .option('--limit <n>', 'at most so many', '1000')
    .addHelpText('after', '\nExample:\n  carillon job list --status failed --sort last_error --descending');
  withClientFlags(list).action((flags: ListFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const reply = await ask({ operation: 'list', query: listQuery(flags) });
      if (isJson) {
        print(`${reply.text}\n`);
        return 0;
      }
      const items = parseItems(reply);
      const nowMs = Date.now();
      const rows = items.map((item) => [
        textOf(item['name']),
        textOf(item['schedule']),
        item['disabled'] === true ? 'disabled' : textOf(item['status']),
        when(item['next'], nowMs),
        when(later(item['last_success'], item['last_error']), nowMs),
        textOf(item['success_count']),
        textOf(item['error_count']),
      ]);
      print(table(['NAME', 'SCHEDULE', 'STATUS', 'NEXT', 'LAST', 'OK', 'FAILED'], rows, 'no jobs'));
      const total = Number(reply.header('X-Total-Count') ?? items.length);
      if (total > items.length) print(`${items.length} of ${total} jobs; --start and --limit show others\n`);
      return 0;
    }),
  );
}

function listQuery(flags: ListFlags): Record<string, string> {
  const query: Record<string, string> = {};
  const start = flags.start === undefined ? 0 : wholeNumber('--start', flags.start);
  if (flags.search !== undefined) query['q'] = flags.search;
  if (flags.status !== undefined) query['status'] = flags.status;
  if (flags.disabled === true) query['disabled'] = 'true';
  if (flags.enabled === true) query['disabled'] = 'false';
  if (flags.sort !== undefined) query['_sort'] = flags.sort;
  if (flags.descending === true) query['_order'] = 'DESC';
  if (flags.start !== undefined) query['_start'] = flags.start;
  query['_end'] = String(start + wholeNumber('--limit', flags.limit));
  for (const pair of flags.metadata ?? []) {
    const equals = pair.indexOf('=');
    query[`metadata[${equals < 0 ? pair : pair.slice(0, equals)}]`] = equals < 0 ? '' : pair.slice(equals + 1);
  }
  return query;
}

function addDelete(job: Command): void {
  const remove = job
    .command('delete')
    .description('delete a job with its history; what runs now goes on')
    .argument('<name>', 'name of the job');
  withClientFlags(remove).action((name: string, flags: ClientFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const reply = await ask({ operation: 'delete', name });
      print(isJson ? `${reply.text}\n` : `job ${name} is deleted\n`);
      return 0;
    }),
  );
}

function addToggle(job: Command): void {
  const toggle = job
    .command('toggle')
    .description('disable an enabled job, enable a disabled one')
    .argument('<name>', 'name of the job');
  withClientFlags(toggle).action((name: string, flags: ClientFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const reply = await ask({ operation: 'toggle', name });
      const state = parseReply(reply)['disabled'] === true ? 'disabled' : 'enabled';
      print(isJson ? `${reply.text}\n` : `job ${name} is ${state}\n`);
      return 0;
    }),
  );
}

export function collect(value: string, earlier: readonly string[] | undefined): string[] {
  return [...(earlier ?? []), value];
}

function later(left: unknown, right: unknown): unknown {
  if (typeof left !== 'string') return right;
  if (typeof right !== 'string') return left;
  return Date.parse(left) > Date.parse(right) ? left : right;
}
