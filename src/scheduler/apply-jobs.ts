/** Jobs put, toggled, deleted and run by hand; each closes the chain of the old generation before it opens the next. */
import { uidOf } from '../jobs/ids.ts';
import type { Job } from '../jobs/job.ts';
import { applyFireItem } from './apply-fires.ts';
import { createRun } from './apply-runs.ts';
import { type Applying, jobRow, moveDue, patchStatus, StaleCommand, statusRow } from './applying.ts';
import { adoptOrphans, attachToParent, detachFromParent } from './children.ts';
import type { Closing, Command, Opening } from './command.ts';
import type { Result } from './intent.ts';
import { jobView, runView } from './reader.ts';
import { removeJob } from './remove-job.ts';
import { type FireRow, type JobRow, keys, type NameRow, type RequestRow, type RunRow, type StatusRow } from './rows.ts';
import type { State } from './state.ts';

/** Children of one job at most: `apply` starts them all in the entry in which their parent succeeds. */
const CHILDREN_MAX = 1_000;
const GROUP = 0;

export interface Applied {
  readonly result: Result;
  /** What the request row keeps; null for a refusal, which a repeat may find changed. */
  readonly answer: RequestRow['answer'] | null;
}

export function putJob(applying: Applying, command: Extract<Command, { type: 'put-job' }>): Applied {
  const { state } = applying;
  const { job, closing, opening } = command;
  const known = state.get<NameRow>(keys.name(job.name));
  if ((known?.uid ?? null) !== (closing?.uid ?? null)) throw new StaleCommand();
  const refusal = parentRefusal(state, job, known?.uid);
  if (refusal !== undefined) return refused('invalid', refusal);
  if (command.firstRun?.length === 0 && !hasRoomToWait(state)) return tooManyWait(state);

  const uid = known?.uid ?? uidOf(GROUP, applying.index);
  if (known === undefined || closing === null) openJob(applying, uid, job, opening);
  else reopenJob(applying, known.uid, job, closing, opening);
  const row = jobRow(state, uid) as JobRow;
  if (command.firstRun !== null) {
    createRun(applying, row, { cause: 'h', key: command.request.scope, scheduledAtMs: null }, command.firstRun);
  }
  const isNew = known === undefined;
  return {
    result: { type: 'job', job: jobView(state, row), isNew },
    answer: { type: 'job', uid, name: job.name, isNew },
  };
}

export function toggleJob(applying: Applying, command: Extract<Command, { type: 'toggle-job' }>): Applied {
  const { state } = applying;
  const name = state.get<NameRow>(keys.name(command.name));
  if (name === undefined) return refused('not-found', `there is no job '${command.name}'`);
  if (name.uid !== command.closing.uid) throw new StaleCommand();
  const { job } = jobRow(state, name.uid) as JobRow;
  reopenJob(applying, name.uid, { ...job, disabled: !job.disabled }, command.closing, command.opening);
  return {
    result: { type: 'job', job: jobView(state, jobRow(state, name.uid) as JobRow), isNew: false },
    answer: { type: 'job', uid: name.uid, name: command.name, isNew: false },
  };
}

export function deleteJob(applying: Applying, command: Extract<Command, { type: 'delete-job' }>): Applied {
  const { state } = applying;
  const name = state.get<NameRow>(keys.name(command.name));
  if (name === undefined) return refused('not-found', `there is no job '${command.name}'`);
  if (name.uid !== command.uid) throw new StaleCommand();
  const row = jobRow(state, name.uid) as JobRow;
  const { children } = statusRow(state, name.uid);
  if (children.length > 0) {
    const child = jobRow(state, children[0] as string);
    return refused(
      'conflict',
      `job '${command.name}' is the parent of '${child?.job.name}': delete its children first`,
    );
  }
  const view = jobView(state, row);
  removeJob(applying, row);
  return {
    result: { type: 'job', job: view, isNew: false },
    answer: { type: 'deleted', job: view },
  };
}

export function runJob(applying: Applying, command: Extract<Command, { type: 'run-job' }>): Applied {
  const { state } = applying;
  const name = state.get<NameRow>(keys.name(command.name));
  if (name === undefined) return refused('not-found', `there is no job '${command.name}'`);
  if (name.uid !== command.uid) throw new StaleCommand();
  const row = jobRow(state, name.uid) as JobRow;
  if (row.job.disabled && row.job.parentJob === '') {
    return refused('not-found', `job '${command.name}' is disabled: enable it with toggle`);
  }
  if (command.targets.length === 0 && !hasRoomToWait(state)) return tooManyWait(state);
  const run = createRun(applying, row, { cause: 'h', key: command.requestId, scheduledAtMs: null }, command.targets);
  const runRow = state.get<RunRow>(keys.run(row.uid, run.slice(run.lastIndexOf('-') + 1))) as RunRow;
  return {
    result: { type: 'run', job: jobView(state, row), run: runView(runRow) },
    answer: { type: 'run', run },
  };
}

function hasRoomToWait({ meta }: State): boolean {
  return meta.waits < meta.settings.pendingRunsMax;
}

function tooManyWait({ meta }: State): Applied {
  return refused('overloaded', `${meta.waits} runs wait for a slot already: try again later`);
}

function openJob(applying: Applying, uid: string, job: Job, opening: Opening): void {
  const { state, index, loggedMs } = applying;
  if (opening.nextMs !== null && opening.nextMs <= loggedMs) throw new StaleCommand();
  state.put(keys.name(job.name), { type: 'name', uid });
  state.create(keys.job(uid), {
    type: 'job',
    uid,
    job,
    generation: 1,
    zone: opening.zone,
    zoneVersion: opening.zoneVersion,
    anchorMs: opening.anchorMs,
    createdMs: loggedMs,
    modifiedIndex: index,
    openedMs: loggedMs,
  });
  const children = adoptOrphans(applying, job.name);
  state.create(keys.status(uid), { ...NEW_STATUS, cursorMs: loggedMs, nextMs: opening.nextMs, children });
  state.meta = { ...state.meta, jobs: state.meta.jobs + 1, namesIndex: index };
  moveDue(applying, uid, null, opening.nextMs);
  attachToParent(applying, { uid, job });
}

function reopenJob(applying: Applying, uid: string, job: Job, closing: Closing, opening: Opening): void {
  const { state, index, loggedMs } = applying;
  const row = jobRow(state, uid) as JobRow;
  if (closing.generation !== row.generation) throw new StaleCommand();
  // All that the old generation names up to this entry's logged time must be accounted for by the closing's items.
  if (closing.nextMs !== null && closing.nextMs <= loggedMs) throw new StaleCommand();
  if (opening.nextMs !== null && opening.nextMs <= loggedMs) throw new StaleCommand();
  if (closing.cursorMs !== statusRow(state, uid).cursorMs) throw new StaleCommand();
  for (const item of closing.items) applyFireItem(applying, item);

  const { nextMs, fireHead } = statusRow(state, uid);
  const newest = fireHead === null ? undefined : state.get<FireRow>(keys.fire(uid, fireHead));
  if (newest?.generation === row.generation) {
    state.put(keys.generation(uid, row.generation), {
      type: 'generation',
      schedule: row.job.schedule,
      zone: row.zone,
      zoneVersion: row.zoneVersion,
      anchorMs: row.anchorMs,
    });
  }
  detachFromParent(applying, row);
  const generation = row.generation + 1;
  state.put(keys.job(uid), {
    ...row,
    job,
    generation,
    zone: opening.zone,
    zoneVersion: opening.zoneVersion,
    anchorMs: opening.anchorMs,
    modifiedIndex: index,
    openedMs: loggedMs,
  });
  patchStatus(state, uid, { generation, cursorMs: loggedMs, nextMs: opening.nextMs });
  moveDue(applying, uid, nextMs, opening.nextMs);
  attachToParent(applying, { uid, job });
}

/** In words of `parent_job`, which the door names. */
function parentRefusal(state: State, job: Job, uid: string | undefined): string | undefined {
  if (job.parentJob === '') return undefined;
  const parent = state.get<NameRow>(keys.name(job.parentJob));
  if (parent === undefined) return 'there is no such job';
  const siblings = statusRow(state, parent.uid).children;
  const isOneOfThem = uid !== undefined && siblings.includes(uid);
  if (siblings.length >= CHILDREN_MAX && !isOneOfThem) return `has ${CHILDREN_MAX} children already`;
  // By name, for a job that is not there yet may have children that wait for it.
  for (let above = job.parentJob; above !== ''; ) {
    if (above === job.name) return `descends from '${job.name}' itself`;
    const at = state.get<NameRow>(keys.name(above))?.uid;
    above = at === undefined ? '' : (jobRow(state, at) as JobRow).job.parentJob;
  }
  return undefined;
}

function refused(code: Extract<Result, { type: 'refused' }>['code'], message: string): Applied {
  return { result: { type: 'refused', code, message }, answer: null };
}

const NEW_STATUS: StatusRow = {
  type: 'status',
  generation: 1,
  cursorMs: 0,
  nextMs: null,
  successCount: 0,
  errorCount: 0,
  lastSuccessMs: null,
  lastErrorMs: null,
  status: '',
  groupMs: 0,
  groupOrdinal: 0,
  openRuns: 0,
  openHead: null,
  finishedFirst: 0,
  finishedNext: 0,
  fireHead: null,
  fireTail: null,
  children: [],
};
