/** The operations that change something: each is one submission, whose result the backend hands out after its apply. */
import { createHash } from 'node:crypto';
import { CodedError } from '../base/errors.ts';
import type { Job } from '../jobs/job.ts';
import type { Intent, Result } from '../scheduler/intent.ts';
import type { Answer } from './answer.ts';
import type { Failed, Submitted } from './backend.ts';
import type { ApiContext, Call } from './call.ts';
import { invalid } from './faults.ts';
import { readJobDocument } from './job-document.ts';
import { writeJob } from './job-json.ts';
import { parseJson, shorten } from './json-text.ts';
import { failedAnswer, problem } from './problem.ts';
import { isPresent, readRunQuery } from './query.ts';
import { writeFinishedRun } from './read-operations.ts';
import { warningHeader } from './warning-header.ts';

const REQUEST_ID_BYTES_MAX = 255;

export async function putJob(context: ApiContext, call: Call): Promise<Answer> {
  const { backend, zones, executors, clock } = context;
  const facts = backend.facts();
  const { job, warnings } = readJobDocument(
    parseJson(call.body),
    {
      zones,
      executors,
      defaultZone: facts.defaultZone,
      defaultTargets: facts.defaultTargets,
      nodes: facts.nodes,
      nowMs: clock.now(),
    },
    call.name === '' ? undefined : call.name,
  );
  const runOnCreate = isPresent(call.query, 'runoncreate');
  const result = await submit(context, call, { type: 'put-job', job, runOnCreate });
  // The check has found no fault; whether the parent is there is known to the state alone.
  if (result.type === 'refused' && result.code === 'invalid') throw parentFault(job, result.message);
  if (result.type !== 'job') return notAJob(result);
  const headers = { Location: jobPath(result.job.job.name), ...warningHeader(warnings) };
  return { status: 201, headers, body: writeJob(result.job), isPlain: true };
}

export async function deleteJob(context: ApiContext, call: Call): Promise<Answer> {
  const result = await submit(context, call, { type: 'delete-job', name: call.name });
  if (result.type !== 'job') return notAJob(result);
  return { status: 200, headers: {}, body: writeJob(result.job), isPlain: true };
}

export async function toggleJob(context: ApiContext, call: Call): Promise<Answer> {
  const result = await submit(context, call, { type: 'toggle-job', name: call.name });
  if (result.type !== 'job') return notAJob(result);
  return { status: 200, headers: { Location: jobPath(call.name) }, body: writeJob(result.job), isPlain: true };
}

/** Waits for the end by default. Whoever goes away meanwhile ends nothing. */
export async function runJob(context: ApiContext, call: Call): Promise<Answer> {
  const { isWaiting, timeoutMs } = readRunQuery(call.query);
  const { waiting } = context;
  if (isWaiting && waiting.count >= waiting.countMax) {
    return problem('overloaded', `${waiting.countMax} calls wait for runs already: ask with wait=false, or try again`);
  }
  if (isWaiting) waiting.count += 1;
  try {
    const intent = { type: 'run-job', name: call.name } as const;
    const result = await submit(context, call, intent, isWaiting ? timeoutMs : undefined);
    if (result.type !== 'run') return notAJob(result);
    return await runAnswer(context, call, result);
  } finally {
    if (isWaiting) waiting.count -= 1;
  }
}

async function runAnswer(
  context: ApiContext,
  call: Call,
  accepted: Extract<Submitted, { readonly type: 'run' }>,
): Promise<Answer> {
  const job = writeJob(accepted.job);
  const { id, state } = accepted.run;
  const { finished } = accepted;
  if (finished === null) return problem('not-found', `run ${id} is no longer kept: its job was deleted meanwhile`);
  if (finished === undefined) {
    // It is accepted and goes on, and can be asked for.
    const headers = { Location: `${jobPath(call.name)}/runs/${id}` };
    return { status: 202, headers, body: { ...job, run: { id, state } } };
  }
  const run = await writeFinishedRun(context, finished);
  return { status: 200, headers: { Location: jobPath(call.name) }, body: { ...job, run } };
}

/** Throws for what was refused; a failed one is returned. */
async function submit(context: ApiContext, call: Call, intent: Intent, waitMs?: number): Promise<Submitted | Failed> {
  const requestId = call.requestId ?? context.makeRequestId();
  const sizeBytes = Buffer.byteLength(requestId, 'utf8');
  if (sizeBytes === 0 || sizeBytes > REQUEST_ID_BYTES_MAX) {
    throw new CodedError('invalid', `the request id has ${sizeBytes} bytes: 1 to ${REQUEST_ID_BYTES_MAX} are allowed`);
  }
  return context.backend.submit({ requestId, caller: call.caller, bodyHash: hashOf(call, intent), intent }, waitMs);
}

/** Over all that the call asks for, so that a repeat is recognised whichever door it takes. */
function hashOf(call: Call, intent: Intent): string {
  const hash = createHash('sha256');
  if (intent.type === 'put-job') hash.update(intent.runOnCreate ? 'run on create\n' : '\n').update(call.body);
  return hash.digest('hex');
}

function notAJob(result: Result | Failed): Answer {
  if (result.type === 'failed') return failedAnswer(result);
  if (result.type === 'refused') return problem(result.code, result.message);
  throw new Error(`a result of another kind: ${result.type}`);
}

function parentFault({ name, parentJob }: Job, message: string): CodedError {
  const allowed = 'the name of another job that is stored and does not descend from this one';
  return invalid(`job ${shorten(name, 60)}`, [{ field: 'parent_job', value: parentJob, allowed, message }]);
}

function jobPath(name: string): string {
  return `/v1/jobs/${encodeURIComponent(name)}`;
}
