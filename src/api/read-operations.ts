/** The operations that only look. */
import { CodedError } from '../base/errors.ts';
import type { FinishedRun } from '../scheduler/intent.ts';
import type { ExecutionView } from '../scheduler/views.ts';
import type { Answer } from './answer.ts';
import { LIST_MAX } from './backend.ts';
import type { ApiContext, Call } from './call.ts';
import { writeJob } from './job-json.ts';
import { type JsonOut, shorten } from './json-text.ts';
import { writeLeader, writeMember } from './node-json.ts';
import { problem } from './problem.ts';
import { readExecutionsQuery, readFiresQuery, readJobFilter, readOutputLimit } from './query.ts';
import { ARRIVAL_MS, readOutputs, tailOf } from './read-output.ts';
import { writeExecution, writeFire, writeRun } from './run-json.ts';
import { warningHeader } from './warning-header.ts';

export async function getJob(context: ApiContext, call: Call): Promise<Answer> {
  const found = await context.backend.job(call.name);
  if (found === undefined) throw unknownJob(call.name);
  return { status: 200, headers: indexHeader(found.index), body: writeJob(found.job), isPlain: true };
}

export async function listJobs(context: ApiContext, call: Call): Promise<Answer> {
  const page = await context.backend.jobs(readJobFilter(call.query));
  return { status: 200, headers: pageHeaders(page), body: page.items.map(writeJob), isPlain: true };
}

export async function getRun(context: ApiContext, call: Call): Promise<Answer> {
  const found = await context.backend.run(call.name, call.id);
  if (found === undefined) throw new CodedError('not-found', `job ${shown(call.name)} has no run ${shown(call.id)}`);
  const executions = await writeExecutions(context, found.executions, null);
  return { status: 200, headers: indexHeader(found.index), body: { ...writeRun(found.run), executions } };
}

export async function listRuns(context: ApiContext, call: Call): Promise<Answer> {
  const { start, end } = readExecutionsQuery({ _start: call.query['_start'], _end: call.query['_end'] });
  const page = await context.backend.runs(call.name);
  if (page === undefined) throw unknownJob(call.name);
  const headers = { ...pageHeaders(page), ...cutWarning(page, 'runs') };
  return { status: 200, headers, body: page.items.slice(start, end ?? undefined).map(writeRun) };
}

export async function listExecutions(context: ApiContext, call: Call): Promise<Answer> {
  const { outputBytesMax, ...order } = readExecutionsQuery(call.query);
  const page = await context.backend.executions(call.name, order);
  if (page === undefined) throw unknownJob(call.name);
  const outputs = await readOutputs(context, page.items, outputBytesMax);
  const body = outputs.map(({ view, output }) => writeExecution(view, output, 'listed'));
  const headers = { ...pageHeaders(page), ...cutWarning(page, 'executions') };
  return { status: 200, headers, body };
}

export async function getExecution(context: ApiContext, call: Call): Promise<Answer> {
  const bytesMax = readOutputLimit(call.query);
  const found = await context.backend.execution(call.name, call.id);
  if (found === undefined)
    throw new CodedError('not-found', `job ${shown(call.name)} has no execution ${shown(call.id)}`);
  const [body = null] = await writeExecutions(context, [found], bytesMax);
  return { status: 200, headers: indexHeader(found.index), body };
}

export async function listFires(context: ApiContext, call: Call): Promise<Answer> {
  const page = await context.backend.fires(call.name, readFiresQuery(call.query, context.clock.now()));
  if (page === undefined) throw unknownJob(call.name);
  return { status: 200, headers: pageHeaders(page), body: { items: page.items.map(writeFire), next: page.next } };
}

export async function listBusy(context: ApiContext, _call: Call): Promise<Answer> {
  const page = await context.backend.busy();
  const body = page.items.map((view) => writeExecution(view, tailOf(view)));
  return { status: 200, headers: pageHeaders(page), body };
}

export async function listMembers(context: ApiContext, _call: Call): Promise<Answer> {
  const page = await context.backend.members();
  return { status: 200, headers: pageHeaders(page), body: page.items.map(writeMember) };
}

export async function getLeader(context: ApiContext, _call: Call): Promise<Answer> {
  const page = await context.backend.members();
  const leader = page.items.find((view) => view.isLeader);
  if (leader === undefined) return problem('no-leader', 'no server leads now: an election takes about a second');
  return { status: 200, headers: indexHeader(page.index), body: writeLeader(leader) };
}

export async function getIsLeader(context: ApiContext, _call: Call): Promise<Answer> {
  const { isLeader } = await context.backend.health();
  const body = isLeader ? 'I am a leader' : 'I am a follower';
  return { status: isLeader ? 200 : 404, headers: {}, body };
}

export async function getHealth(context: ApiContext, _call: Call): Promise<Answer> {
  const health = await context.backend.health();
  const issues = health.checks.filter((check) => !check.isOk).map((check) => `${check.name}: ${check.detail}`);
  const isHealthy = issues.length === 0;
  const body = {
    status: isHealthy ? 'healthy' : 'unhealthy',
    ...(isHealthy ? {} : { issues }),
    leader: health.isLeader,
    leader_name: health.leader?.name ?? null,
    term: health.term,
    applied_index: health.appliedIndex,
    commit_index: health.commitIndex,
  };
  return { status: isHealthy ? 200 : 503, headers: {}, body };
}

/** As run-and-wait hands it out. */
export async function writeFinishedRun(context: ApiContext, ended: FinishedRun): Promise<JsonOut> {
  const executions = await writeExecutions(context, ended.executions, null, ARRIVAL_MS);
  return { id: ended.run.id, state: ended.run.state, reason: ended.run.reason, executions };
}

async function writeExecutions(
  context: ApiContext,
  views: readonly ExecutionView[],
  bytesMax: number | null,
  waitMs?: number,
): Promise<JsonOut[]> {
  const outputs = await readOutputs(context, views, bytesMax, waitMs);
  return outputs.map(({ view, output }) => writeExecution(view, output));
}

function unknownJob(name: string): CodedError {
  return new CodedError('not-found', `there is no job ${shown(name)}`);
}

function shown(name: string): string {
  return `'${shorten(JSON.stringify(name).slice(1, -1), 78)}'`;
}

function indexHeader(index: number): Record<string, string> {
  return { 'X-Carillon-Index': String(index) };
}

function pageHeaders(page: { readonly total: number; readonly index: number }): Record<string, string> {
  return { 'X-Total-Count': String(page.total), ...indexHeader(page.index) };
}

function cutWarning(page: { readonly isCut?: boolean }, what: string): Record<string, string> {
  return warningHeader(page.isCut === true ? [`only the newest ${LIST_MAX} ${what} are listed: there are more`] : []);
}
