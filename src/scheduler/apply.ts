/** Applies one committed entry to the state. No clock, no randomness, no locale: equal entries, equal states. */
import { unreachable } from '../base/errors.ts';
import { applyFireItem } from './apply-fires.ts';
import { type Applied, deleteJob, putJob, runJob, toggleJob } from './apply-jobs.ts';
import { assignWaiting, expireWait, finishExecution } from './apply-runs.ts';
import { closeSession, forgetNodes, openSession } from './apply-sessions.ts';
import { type Applying, StaleCommand } from './applying.ts';
import type { Command } from './command.ts';
import type { StateEvent } from './event.ts';
import type { Result } from './intent.ts';
import { purge } from './remove-job.ts';
import { dropOldAnswers, keepAnswer, repeatedAnswer, requestOf } from './requests.ts';
import type { State } from './state.ts';

export function apply(
  state: State,
  entry: { readonly index: number; readonly term: number },
  command: Command | null,
): readonly StateEvent[] {
  if (entry.index !== state.meta.appliedIndex + 1) {
    throw new Error(`entry ${entry.index} after ${state.meta.appliedIndex}: the log has a hole`);
  }
  const loggedMs = Math.max(state.meta.loggedMs, command?.nowMs ?? 0);
  state.meta = { ...state.meta, appliedIndex: entry.index, appliedTerm: entry.term, loggedMs };
  if (command === null) return [];

  const applying: Applying = { state, index: entry.index, loggedMs, events: [] };
  dropOldAnswers(applying);
  const request = requestOf(command);
  if (request === undefined) {
    applyInternal(applying, command);
    return applying.events;
  }
  const repeated = repeatedAnswer(state, request);
  if (repeated !== undefined) {
    applying.events.push({ type: 'answered', ...request, result: repeated, isStale: false });
    return applying.events;
  }
  try {
    const { result, answer } = applyRequest(applying, command);
    if (answer !== null) keepAnswer(applying, request, answer);
    applying.events.push({ type: 'answered', ...request, result, isStale: false });
  } catch (error) {
    // Thrown before anything was changed, by every server alike.
    if (!(error instanceof StaleCommand)) throw error;
    applying.events.push({ type: 'answered', ...request, result: STALE, isStale: true });
  }
  return applying.events;
}

const STALE: Result = { type: 'refused', code: 'conflict', message: 'the job changed at the same time: try again' };

function applyRequest(applying: Applying, command: Command): Applied {
  switch (command.type) {
    case 'put-job':
      return putJob(applying, command);
    case 'toggle-job':
      return toggleJob(applying, command);
    case 'delete-job':
      return deleteJob(applying, command);
    case 'run-job':
      return runJob(applying, command);
    case 'set-settings': {
      const { state } = applying;
      state.meta = { ...state.meta, settings: { ...state.meta.settings, ...command.settings } };
      return { result: { type: 'settings', settings: state.meta.settings }, answer: { type: 'settings' } };
    }
    case 'genesis':
    case 'fire':
    case 'assign':
    case 'expire':
    case 'finish':
    case 'open-session':
    case 'close-session':
    case 'forget-nodes':
    case 'purge':
      throw new Error(`${command.type} is no client's command`);
    default:
      return unreachable(command);
  }
}

function applyInternal(applying: Applying, command: Command): void {
  const { state } = applying;
  switch (command.type) {
    case 'genesis':
      // Two leaders in a row may both propose it: the first one counts.
      if (state.meta.cluster !== '') return;
      state.meta = { ...state.meta, cluster: command.cluster, settings: command.settings };
      return;
    case 'fire':
      for (const item of command.items) applyFireItem(applying, item);
      return;
    case 'assign':
      for (const item of command.items) assignWaiting(applying, item);
      return;
    case 'expire':
      for (const { run, ordinal } of command.waits) expireWait(applying, run, ordinal);
      return;
    case 'finish':
      for (const finish of command.finishes) finishExecution(applying, finish);
      return;
    case 'open-session':
      return openSession(applying, command);
    case 'close-session':
      return closeSession(applying, command);
    case 'forget-nodes':
      return forgetNodes(applying, command);
    case 'purge':
      purge(applying, command.uid);
      return;
    case 'put-job':
    case 'toggle-job':
    case 'delete-job':
    case 'run-job':
    case 'set-settings':
      throw new Error(`${command.type} carries a request`);
    default:
      return unreachable(command);
  }
}
