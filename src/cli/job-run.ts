/** `carillon job run`: runs a job, shows what it printed, and ends with its exit code. */
import type { Command } from 'commander';
import { CodedError } from '../base/errors.ts';
import { parseDuration } from '../jobs/duration.ts';
import { withoutSecrets } from './client.ts';
import { type ClientFlags, parseReply, type Session, textOf, withClientFlags, withSession } from './client-command.ts';
import { type EndedExecution, exitCodeOfRun, INTERRUPTED, lastAttempts } from './exit-codes.ts';
import { outputText } from './output.ts';
import { shownOutput, type WithOutput } from './shown-output.ts';

interface RunFlags extends ClientFlags {
  readonly wait: boolean;
  readonly timeout: string;
}

interface RunAnswer {
  readonly id: string;
  readonly state: string;
  readonly reason?: string;
  readonly executions?: readonly RunExecution[];
}

interface RunExecution extends EndedExecution, WithOutput {
  readonly node_name: string;
  readonly reason?: string;
  readonly attempt: number;
}

/** For the way of the answer, beyond the time that the server waits. */
const GRACE_MS = 15_000;

export function addRunCommand(job: Command): void {
  const run = job
    .command('run')
    .description('run a job now and print its output')
    .argument('<name>', 'name of the job')
    .option('--no-wait', 'print the id of the run and end at once')
    .option('--timeout <duration>', 'how long to wait for its end; the run goes on after that', '60m')
    .addHelpText(
      'after',
      `
Exit code: the highest of the job's on all nodes, 128+n for a signal, 124 timed out, 130 cancelled, 1 failed without
a code; 125 when carillon itself could not do it. Ctrl-C ends the command with 130, not the run, which goes on.

Examples:
  carillon job run backup
  carillon job run backup --no-wait
  carillon job run backup --json --timeout 10m`,
    );
  withClientFlags(run).action((name: string, flags: RunFlags) =>
    withSession(flags, (session) => runJob(session, name, flags)),
  );
}

async function runJob(session: Session, name: string, flags: RunFlags): Promise<number> {
  const timeoutMs = parseDuration(flags.timeout);
  if (timeoutMs === undefined || timeoutMs <= 0) {
    throw new CodedError('invalid', `--timeout ${flags.timeout}: write a duration such as 90s or 10m`);
  }
  if (flags.wait) process.once('SIGINT', () => interrupt(name, flags));
  const reply = await session.ask(
    flags.wait
      ? { operation: 'run', name, query: { timeout: flags.timeout }, timeoutMs: timeoutMs + GRACE_MS }
      : { operation: 'run', name, query: { wait: 'false' } },
  );
  const run = parseReply(reply)['run'] as RunAnswer | undefined;
  if (run === undefined)
    throw new CodedError('invalid', 'the answer names no run: does --url lead to a Carillon server?');
  if (session.isJson) session.print(`${reply.text}\n`);
  if (run.executions === undefined) return goesOn(session, name, run, flags);

  const last = lastAttempts(run.executions);
  if (!session.isJson) {
    const shown = last.map((execution) => ({ node: execution.node_name, ...shownOutput(execution) }));
    session.print(outputText(shown.map(({ node, text }) => ({ node, output: text }))));
    for (const { node, cut } of shown) if (cut !== undefined) process.stderr.write(`${node}: ${cut}\n`);
    explain(run, last);
  }
  return exitCodeOfRun(run.state, run.executions);
}

/** Who waits is not who runs it. The server tells the id of the run only at its end. */
function interrupt(name: string, { url, cluster }: RunFlags): never {
  const where = [
    ...(url === undefined ? [] : [` --url ${withoutSecrets(url)}`]),
    ...(cluster === undefined ? [] : [` --cluster ${cluster}`]),
  ].join('');
  process.stderr.write(
    `\ncarillon: the run of job ${name} goes on, if it had begun; look at it with: carillon job executions ${name}${where}\n`,
  );
  process.exit(INTERRUPTED);
}

function goesOn(session: Session, name: string, run: RunAnswer, flags: RunFlags): number {
  if (!flags.wait) {
    if (!session.isJson) session.print(`${run.id}\n`);
    return 0;
  }
  throw new CodedError('deadline', `run ${run.id} of job ${name} has not ended within ${flags.timeout}; it goes on`);
}

/** What its output does not say: why the run is no success, or that it took more than one attempt. */
function explain(run: RunAnswer, last: readonly RunExecution[]): void {
  for (const execution of last) {
    if (execution.outcome === 'succeeded') {
      if (execution.attempt > 1)
        process.stderr.write(`${execution.node_name}: succeeded at attempt ${execution.attempt}\n`);
      continue;
    }
    const code =
      execution.exit_code === null || execution.exit_code === undefined ? '' : `, exit code ${execution.exit_code}`;
    const signal = textOf(execution.signal) === '-' ? '' : `, ${execution.signal}`;
    // A reason that only repeats code or signal says nothing new.
    const isNew = textOf(execution.reason) !== '-' && !/^(exit status|signal) /.test(execution.reason ?? '');
    const reason = isNew ? `: ${execution.reason}` : '';
    const attempt = execution.attempt > 1 ? ` (attempt ${execution.attempt})` : '';
    process.stderr.write(`${execution.node_name}: ${textOf(execution.outcome)}${code}${signal}${attempt}${reason}\n`);
  }
  if (last.length === 0 && run.state !== 'succeeded')
    process.stderr.write(
      `run ${run.id}: ${run.state}${run.reason === undefined || run.reason === '' ? '' : `: ${run.reason}`}\n`,
    );
}
