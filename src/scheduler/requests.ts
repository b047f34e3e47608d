/**
 * Request ids: the answer to each mutating call is kept for ten minutes of logged time, so that a repeat, by a client
 * or by a server that forwarded the call, gets the first answer instead of a second effect.
 */
import { sha256Hex } from '../base/hash.ts';
import { parseRunId } from '../jobs/ids.ts';
import { type Applying, jobRow } from './applying.ts';
import type { Command, RequestKey } from './command.ts';
import type { Intent, Result, Submission } from './intent.ts';
import { jobView, runView } from './reader.ts';
import { type JobRow, keys, type RequestOrderRow, type RequestRow, type RunRow } from './rows.ts';
import type { State } from './state.ts';

const KEPT_MS = 600_000;
/** Old answers dropped by one entry at most: more than come in, so that the rest shrinks. */
const DROPPED_PER_ENTRY = 4;

export function requestKey(submission: Submission): RequestKey {
  const { caller, intent, requestId, bodyHash } = submission;
  const scope = sha256Hex(JSON.stringify([caller, intent.type, nameOf(intent), requestId])).slice(0, 40);
  return { scope, bodyHash: bodyHash.slice(0, 32) };
}

/** The first answer to this request, if there was one; a refusal if the id came with another body then. */
export function repeatedAnswer(state: State, request: RequestKey): Result | undefined {
  const row = state.get<RequestRow>(keys.request(request.scope));
  if (row === undefined) return undefined;
  if (row.bodyHash !== request.bodyHash) {
    return {
      type: 'refused',
      code: 'request-id-reused',
      message: 'this request id was used with another body within the last ten minutes: use a new id for a new request',
    };
  }
  return rebuild(state, row);
}

export function keepAnswer(applying: Applying, request: RequestKey, answer: RequestRow['answer']): void {
  const { state, loggedMs } = applying;
  const { requestNext } = state.meta;
  state.put(keys.request(request.scope), { type: 'request', bodyHash: request.bodyHash, atMs: loggedMs, answer });
  state.create(keys.requestOrder(requestNext), { type: 'request-order', scope: request.scope });
  state.meta = { ...state.meta, requestNext: requestNext + 1 };
}

/** Called with every entry; time passes by logged time only. */
export function dropOldAnswers({ state, loggedMs }: Applying): void {
  for (let dropped = 0; dropped < DROPPED_PER_ENTRY; dropped += 1) {
    const { requestFirst, requestNext } = state.meta;
    if (requestFirst >= requestNext) return;
    const order = state.get<RequestOrderRow>(keys.requestOrder(requestFirst)) as RequestOrderRow;
    const row = state.get<RequestRow>(keys.request(order.scope));
    if (row !== undefined && row.atMs > loggedMs - KEPT_MS) return;
    if (row !== undefined) state.delete(keys.request(order.scope));
    state.delete(keys.requestOrder(requestFirst));
    state.meta = { ...state.meta, requestFirst: requestFirst + 1 };
  }
}

export function requestOf(command: Command): RequestKey | undefined {
  return 'request' in command ? command.request : undefined;
}

/** The row keeps what the answer was about; the rest is read from the rows as they are now. */
function rebuild(state: State, row: RequestRow): Result {
  const { answer } = row;
  if (answer.type === 'deleted') return { type: 'job', job: answer.job, isNew: false };
  if (answer.type === 'settings') return { type: 'settings', settings: state.meta.settings };
  if (answer.type === 'job') {
    const job = jobRow(state, answer.uid);
    if (job !== undefined) return { type: 'job', job: jobView(state, job), isNew: answer.isNew };
    return { type: 'refused', code: 'not-found', message: `done, and job '${answer.name}' has been deleted since` };
  }
  const uid = parseRunId(answer.run)?.uid as string;
  const run = state.get<RunRow>(keys.run(uid, answer.run.slice(answer.run.lastIndexOf('-') + 1)));
  const job = jobRow(state, uid) as JobRow | undefined;
  if (run === undefined || job === undefined) {
    return { type: 'refused', code: 'not-found', message: `run ${answer.run} was made, and is no longer kept` };
  }
  return { type: 'run', job: jobView(state, job), run: runView(run) };
}

function nameOf(intent: Intent): string {
  if (intent.type === 'put-job') return intent.job.name;
  return intent.type === 'set-settings' ? '' : intent.name;
}
