/** `carillon job executions` and `fires`: what became of a job. */
import type { Command } from 'commander';
import {
  type ClientFlags,
  parseItems,
  parseReply,
  textOf,
  wholeNumber,
  withClientFlags,
  withSession,
} from './client-command.ts';
import { duration, outputText, table, when } from './output.ts';
import { shownOutput } from './shown-output.ts';

type Row = Readonly<Record<string, unknown>>;

export function addHistoryCommands(job: Command): void {
  addExecutions(job);
  addFires(job);
}

function addExecutions(job: Command): void {
  const executions = job
    .command('executions')
    .description('list the attempts of a job, newest first, or show one with its output')
    .argument('<name>', 'name of the job')
    .argument('[id]', 'id of one execution')
    .option('--limit <n>', 'at most so many', '20')
    .option('--output', 'show the output of each below the table, and what functions returned')
    .addHelpText('after', '\nExamples:\n  carillon job executions backup --limit 5 --output');
  withClientFlags(executions).action(
    (
      name: string,
      id: string | undefined,
      flags: ClientFlags & { readonly limit: string; readonly output?: boolean },
    ) =>
      withSession(flags, async ({ ask, isJson, print }) => {
        const nowMs = Date.now();
        if (id !== undefined) {
          const reply = await ask({ operation: 'execution', name, id });
          const row = parseReply(reply);
          if (isJson) print(`${reply.text}\n`);
          else {
            print(executionTable([row], nowMs));
            printOutput(row, print);
          }
          return 0;
        }
        const limit = wholeNumber('--limit', flags.limit);
        // Nobody reads the output in a table.
        const size = flags.output === true || isJson ? {} : { output_size_limit: '0' };
        const reply = await ask({ operation: 'executions', name, query: { _end: String(limit), ...size } });
        if (isJson) {
          print(`${reply.text}\n`);
          return 0;
        }
        const rows = parseItems(reply);
        print(executionTable(rows, nowMs));
        if (flags.output === true) {
          for (const row of rows) {
            print(`\n${textOf(row['id'])}\n`);
            printOutput(row, print);
          }
        }
        const total = Number(reply.header('X-Total-Count') ?? rows.length);
        if (total > rows.length) print(`${rows.length} of ${total} executions; --limit shows more\n`);
        return 0;
      }),
  );
}

function executionTable(rows: readonly Row[], nowMs: number): string {
  const lines = rows.map((row) => [
    textOf(row['id']),
    textOf(row['node_name']),
    textOf(row['attempt']),
    textOf(row['outcome'] ?? 'running'),
    textOf(row['exit_code'] ?? row['signal']),
    when(row['started_at'], nowMs),
    took(row),
  ]);
  return table(['ID', 'NODE', 'ATTEMPT', 'OUTCOME', 'EXIT', 'STARTED', 'TOOK'], lines, 'no executions');
}

function took(row: Row): string {
  const { started_at: started, finished_at: finished } = row;
  if (typeof started !== 'string' || typeof finished !== 'string' || finished.startsWith('0001-')) return '-';
  return duration(Math.max(0, Date.parse(finished) - Date.parse(started)));
}

function printOutput(row: Row, print: (text: string) => void): void {
  const { text, cut } = shownOutput(row);
  print(outputText([{ node: textOf(row['node_name']), output: text }]));
  if (cut !== undefined) process.stderr.write(`${textOf(row['id'])}: ${cut}\n`);
}

interface FiresFlags extends ClientFlags {
  readonly from?: string;
  readonly to?: string;
  readonly limit: string;
}

function addFires(job: Command): void {
  const fires = job
    .command('fires')
    .description('list the nominal times of a job and what became of them, newest first')
    .argument('<name>', 'name of the job')
    .option('--from <time>', 'RFC 3339; default: 24 h before the end')
    .option('--to <time>', 'RFC 3339; default: now')
    .option('--limit <n>', 'at most so many (1 to 1000)', '50')
    .addHelpText('after', '\nExample:\n  carillon job fires backup --from 2026-11-24T00:00:00Z');
  withClientFlags(fires).action((name: string, flags: FiresFlags) =>
    withSession(flags, async ({ ask, isJson, print }) => {
      const query: Record<string, string> = { limit: String(wholeNumber('--limit', flags.limit)) };
      if (flags.from !== undefined) query['from'] = flags.from;
      if (flags.to !== undefined) query['to'] = flags.to;
      const reply = await ask({ operation: 'fires', name, query });
      if (isJson) {
        print(`${reply.text}\n`);
        return 0;
      }
      const { items, next } = parseReply(reply) as { readonly items: readonly Row[]; readonly next: string | null };
      const nowMs = Date.now();
      const rows = items.map((item) => [
        when(item['scheduled_at'] ?? item['first'], nowMs),
        item['last'] === undefined || item['last'] === item['first'] ? '-' : when(item['last'], nowMs),
        textOf(item['count'] ?? 1),
        textOf(item['outcome']),
        textOf(item['reason']),
        typeof item['lateness_ms'] === 'number' ? duration(item['lateness_ms']) : '-',
        textOf(item['run']),
      ]);
      print(table(['SCHEDULED', 'UNTIL', 'COUNT', 'OUTCOME', 'REASON', 'LATE', 'RUN'], rows, 'no fires in that time'));
      if (next !== null && next !== undefined) print('there are more; --to and --limit show them\n');
      return 0;
    }),
  );
}
