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
import { type ExecutionSort, readExecutionsQuery, readFiresQuery, readJobFilter, readOutputLimit } from './query.ts';
import { type OutputText, writeExecution, writeFire, writeRun } from './run-json.ts';
import { warningHeader } from './warning-header.ts';

/** Of output in one list; what comes after shows the tail that its row holds. */
const LIST_OUTPUT_BYTES_MAX = 8 * 1024 * 1024;
/** Dkron's limit on one output, four times over. */
const OUTPUT_BYTES_MAX = 1024 * 1024;

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
  const executions = await writeExecutions(context, found.executions, null, 'single');
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
  const { sort, isDescending, start, end, outputBytesMax } = readExecutionsQuery(call.query);
  const page = await context.backend.executions(call.name);
  if (page === undefined) throw unknownJob(call.name);
  const items = sortExecutions(page.items, sort, isDescending).slice(start, end ?? undefined);
  const body = await writeExecutions(context, items, outputBytesMax, 'listed');
  const headers = { ...pageHeaders(page), ...cutWarning(page, 'executions') };
  return { status: 200, headers, body };
}

export async function getExecution(context: ApiContext, call: Call): Promise<Answer> {
  const bytesMax = readOutputLimit(call.query);
  const found = await context.backend.execution(call.name, call.id);
  if (found === undefined)
    throw new CodedError('not-found', `job ${shown(call.name)} has no execution ${shown(call.id)}`);
  const output = await readOutput(context, found, bytesMax ?? OUTPUT_BYTES_MAX);
  return { status: 200, headers: indexHeader(found.index), body: writeExecution(found, output) };
}

export async function listFires(context: ApiContext, call: Call): Promise<Answer> {
  const page = await context.backend.fires(call.name, readFiresQuery(call.query, context.clock.now()));
  if (page === undefined) throw unknownJob(call.name);
  return { status: 200, headers: pageHeaders(page), body: { items: page.items.map(writeFire), next: page.next } };
}

/** Executions that are open now, oldest first as in Dkron. */
export async function listBusy(context: ApiContext, _call: Call): Promise<Answer> {
  const page = await context.backend.busy();
  const items = sortExecutions(page.items, 'started_at', false);
  const body = items.map((view) => writeExecution(view, { text: view.outputTail, isTruncated: false }));
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
  const executions = await writeExecutions(context, ended.executions, null, 'single');
  return { id: ended.run.id, state: ended.run.state, reason: ended.run.reason, executions };
}

async function writeExecutions(
  context: ApiContext,
  views: readonly ExecutionView[],
  bytesMax: number | null,
  form: 'single' | 'listed',
): Promise<JsonOut[]> {
  const written: JsonOut[] = [];
  let leftBytes = LIST_OUTPUT_BYTES_MAX;
  for (const view of views) {
    const wantedBytes = Math.min(bytesMax ?? OUTPUT_BYTES_MAX, Math.max(leftBytes, 0));
    // Only what has more than its row holds costs a read, and only while the list has room for it.
    const output =
      leftBytes > 0 || bytesMax !== null
        ? await readOutput(context, view, wantedBytes)
        : { text: view.outputTail, isTruncated: view.outputBytes > byteLength(view.outputTail) };
    leftBytes -= byteLength(output.text);
    written.push(writeExecution(view, output, form));
  }
  return written;
}

/** The end of the output, at most so many bytes of it. */
async function readOutput(context: ApiContext, view: ExecutionView, bytesMax: number): Promise<OutputText> {
  let bytes: Uint8Array = Buffer.from(view.outputTail, 'utf8');
  if (view.storedBytes > bytes.byteLength && bytesMax > bytes.byteLength) {
    const wanted = Math.min(bytesMax, OUTPUT_BYTES_MAX);
    const stored = await context.backend.output(view.id, wanted);
    if (stored !== undefined && stored.byteLength > bytes.byteLength) bytes = stored;
  }
  const kept = bytes.subarray(Math.max(0, bytes.byteLength - bytesMax));
  const isTruncated = view.outputBytes > kept.byteLength;
  return { text: LOSSY.decode(isTruncated ? wholeCharacters(kept) : kept), isTruncated };
}

/** Without the rest of a character whose beginning was cut off. */
function wholeCharacters(bytes: Uint8Array): Uint8Array {
  let first = 0;
  while (first < 3 && first < bytes.byteLength && ((bytes[first] as number) & 0xc0) === 0x80) first += 1;
  return bytes.subarray(first);
}

function sortExecutions(
  views: readonly ExecutionView[],
  sort: ExecutionSort,
  isDescending: boolean,
): readonly ExecutionView[] {
  // The backend's order is that of the ids, newest first.
  if (sort === 'id') return isDescending ? views : views.toReversed();
  const keyOf = SORT_KEYS[sort];
  const sign = isDescending ? -1 : 1;
  return views.toSorted((left, right) => sign * (keyOf(left) - keyOf(right)));
}

const SORT_KEYS: Readonly<Record<Exclude<ExecutionSort, 'id'>, (view: ExecutionView) => number>> = {
  attempt: (view) => view.attempt,
  started_at: (view) => view.startedMs ?? view.assignedMs,
  // What is not over yet comes after all that is.
  finished_at: (view) => view.finishedMs ?? Number.MAX_SAFE_INTEGER,
};

function unknownJob(name: string): CodedError {
  return new CodedError('not-found', `there is no job ${shown(name)}`);
}

function shown(name: string): string {
  return shorten(JSON.stringify(name), 80);
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

function byteLength(text: string): number {
  return Buffer.byteLength(text, 'utf8');
}

const LOSSY = new TextDecoder('utf-8', { ignoreBOM: true });
