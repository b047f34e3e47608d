/**
 * Intents to commands: the leader adds what only it may say, the time, the next instants, the rest of a closing chain
 * and the targets. What is refused here is refused without an entry.
 */
import { unreachable } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import { jobRow, statusRow } from './applying.ts';
import { closeChain, openChain, type Schedules } from './chain.ts';
import type { Closing, Command, RequestKey, Target } from './command.ts';
import type { Result, Submission } from './intent.ts';
import { repeatedAnswer, requestKey } from './requests.ts';
import type { Roster } from './roster.ts';
import { type JobRow, keys, type NameRow } from './rows.ts';
import type { State } from './state.ts';

export type Completed =
  | { readonly type: 'command'; readonly command: ClientCommand; readonly targets: readonly Target[] }
  | { readonly type: 'result'; readonly result: Result }
  /** Too much is due for the job just now; a moment later it has fired. */
  | { readonly type: 'later' };

export type ClientCommand = Extract<Command, { readonly request: RequestKey }>;

export interface Completing {
  readonly state: State;
  readonly schedules: Schedules;
  readonly roster: Roster;
  readonly random: Random;
  readonly nowMs: number;
  /** Every node that lives has been heard: that none matches is no news of the moment. */
  readonly isSettled: boolean;
}

export function complete(completing: Completing, submission: Submission): Completed {
  const { state } = completing;
  const request = requestKey(submission);
  const repeated = repeatedAnswer(state, request);
  if (repeated !== undefined) return { type: 'result', result: repeated };
  const { intent } = submission;
  switch (intent.type) {
    case 'put-job':
      return completePut(completing, request, intent);
    case 'toggle-job':
      return withJob(completing, intent.name, (row) => completeToggle(completing, request, row));
    case 'delete-job':
      return withJob(completing, intent.name, (row) =>
        command({ type: 'delete-job', nowMs: completing.nowMs, request, name: intent.name, uid: row.uid }),
      );
    case 'run-job':
      return withJob(completing, intent.name, (row) => completeRun(completing, request, submission.requestId, row));
    case 'set-settings':
      return command({ type: 'set-settings', nowMs: completing.nowMs, request, settings: intent.settings });
    default:
      return unreachable(intent);
  }
}

function completePut(
  completing: Completing,
  request: RequestKey,
  { job, runOnCreate }: Extract<Submission['intent'], { type: 'put-job' }>,
): Completed {
  const { state, schedules, nowMs, roster, random } = completing;
  const name = state.get<NameRow>(keys.name(job.name));
  let closing: Closing | null = null;
  let anchorMs: number | null = null;
  if (name !== undefined) {
    const row = jobRow(state, name.uid) as JobRow;
    const rest = closeChain(schedules, row, statusRow(state, row.uid), nowMs);
    if (rest === undefined) return { type: 'later' };
    closing = rest;
    anchorMs = row.anchorMs;
  }
  const { defaultZone, defaultTargets } = state.meta.settings;
  const opening = openChain(schedules, job, { nowMs, anchorMs, defaultZone });
  const placed = runOnCreate ? roster.place(job, defaultTargets, random) : undefined;
  const firstRun = placed === undefined ? null : placed.type === 'placed' ? placed.targets : [];
  return command({ type: 'put-job', nowMs, request, job, closing, opening, firstRun }, firstRun ?? []);
}

function completeToggle(completing: Completing, request: RequestKey, row: JobRow): Completed {
  const { state, schedules, nowMs } = completing;
  const closing = closeChain(schedules, row, statusRow(state, row.uid), nowMs);
  if (closing === undefined) return { type: 'later' };
  const job = { ...row.job, disabled: !row.job.disabled };
  const { defaultZone } = state.meta.settings;
  const opening = openChain(schedules, job, { nowMs, anchorMs: row.anchorMs, defaultZone });
  return command({ type: 'toggle-job', nowMs, request, name: job.name, closing, opening });
}

function completeRun(completing: Completing, request: RequestKey, requestId: string, row: JobRow): Completed {
  const { state, roster, random, nowMs, isSettled } = completing;
  const placed = roster.place(row.job, state.meta.settings.defaultTargets, random);
  if (placed.type === 'no-target') {
    if (!isSettled) return { type: 'later' };
    return refused(`job '${row.job.name}': no live node matches its tags ${JSON.stringify(row.job.tags ?? {})}`);
  }
  const targets = placed.type === 'placed' ? placed.targets : [];
  const { name } = row.job;
  return command({ type: 'run-job', nowMs, request, name, uid: row.uid, requestId, targets }, targets);
}

function withJob(completing: Completing, name: string, then: (row: JobRow) => Completed): Completed {
  const { state } = completing;
  const uid = state.get<NameRow>(keys.name(name))?.uid;
  const row = uid === undefined ? undefined : jobRow(state, uid);
  return row === undefined ? refused(`there is no job '${name}'`) : then(row);
}

function refused(message: string): Completed {
  return { type: 'result', result: { type: 'refused', code: 'not-found', message } };
}

function command(command: ClientCommand, targets: readonly Target[] = []): Completed {
  return { type: 'command', command, targets };
}
