/** Runs and executions: made, assigned, finished, tried again, ended, trimmed. */
import { type ExecutionOutcome, mayHaveStarted } from '../jobs/execution.ts';
import type { Finish } from '../jobs/finish.ts';
import { executionIdOf, parseExecutionId, parseRunId, runIdOf } from '../jobs/ids.ts';
import { decideRetry } from '../jobs/retry.ts';
import { type Cause, judgeRun, type RunState } from '../jobs/run.ts';
import { type Applying, jobRow, patchRun, patchStatus, statusRow } from './applying.ts';
import type { AssignItem, Target } from './command.ts';
import { dropFinishedRun } from './drop-runs.ts';
import { resolveFire } from './fires.ts';
import { finishedRun } from './reader.ts';
import { removeJob } from './remove-job.ts';
import { type ExecutionRow, type JobRow, keys, type NodeRow, type RunRow, type WaitRow } from './rows.ts';
import type { State } from './state.ts';

/** `start_within` where a job names none and no next instant limits it. */
const START_WITHIN_MS_DEFAULT = 600_000;
/** Runs beyond `keep_runs` that one ended run drops at most, so that an entry's work is bounded. */
const TRIMMED_PER_RUN = 3;

/** Makes a run, placed or waiting. Answers with its id; the same cause and key again is the same run. */
export function createRun(
  applying: Applying,
  row: JobRow,
  origin: { readonly cause: Cause; readonly key: number | string; readonly scheduledAtMs: number | null },
  targets: readonly Target[],
): string {
  const { state, loggedMs } = applying;
  const { uid } = row;
  const id =
    origin.cause === 's' ? runIdOf(uid, 's', origin.key as number) : runIdOf(uid, origin.cause, String(origin.key));
  const key = keyOf(id);
  if (state.get<RunRow>(keys.run(uid, key)) !== undefined) return id;

  const status = statusRow(state, uid);
  const group = nextGroup(status.groupMs, status.groupOrdinal, loggedMs);
  if (status.openHead !== null) patchRun(state, uid, status.openHead, { newer: key });
  state.put(keys.run(uid, key), {
    type: 'run',
    id,
    job: row.job.name,
    cause: origin.cause,
    state: 'pending',
    reason: '',
    scheduledAtMs: origin.scheduledAtMs,
    createdMs: loggedMs,
    finishedMs: null,
    startByMs: loggedMs + startWithinMs(row, origin.scheduledAtMs, status.nextMs),
    group: `${group.ms}${String(group.ordinal).padStart(6, '0')}`,
    targets: 0,
    openTargets: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    attempts: 0,
    hasStarted: false,
    newer: null,
    older: status.openHead,
  });
  patchStatus(state, uid, {
    openRuns: status.openRuns + 1,
    openHead: key,
    groupMs: group.ms,
    groupOrdinal: group.ordinal,
  });
  if (!assignRun(applying, id, targets)) {
    wait(applying, {
      run: id,
      ordinal: null,
      fromMs: 0,
      untilMs: startBy(state, id),
      node: null,
      attempt: 1,
      tries: 0,
    });
  }
  return id;
}

/** Carries out one `assign`: of a run that waits as a whole, or of one target that is tried again. */
export function assignWaiting(applying: Applying, item: AssignItem): void {
  const { state, events } = applying;
  const waiting = knownWait(applying, item.run, item.ordinal);
  if (waiting === undefined) return;
  if (item.ordinal === null) {
    if (assignRun(applying, item.run, item.targets)) endWait(applying, item.run, null);
    else events.push({ type: 'waiting', wait: waiting });
    return;
  }
  const target = item.targets[0];
  const node = target === undefined ? undefined : openNode(state, target);
  if (node === undefined) {
    events.push({ type: 'waiting', wait: waiting });
    return;
  }
  endWait(applying, item.run, item.ordinal);
  const { attempt, tries, untilMs } = waiting;
  assignTarget(applying, item.run, item.ordinal, node, { attempt, tries, startByMs: untilMs });
}

/** A wait that lasted longer than it may: the run is missed, or the target gives up. */
export function expireWait(applying: Applying, run: string, ordinal: number | null): void {
  const waiting = knownWait(applying, run, ordinal);
  if (waiting === undefined || waiting.untilMs > applying.loggedMs) return;
  endWait(applying, run, ordinal);
  if (ordinal === null) endRun(applying, run, 'missed', 'no-target');
  else settleTarget(applying, run, 'failed');
}

/** Undefined, and the leader told to forget it, where nothing waits or a deleted job's rows are still being purged. */
function knownWait(applying: Applying, run: string, ordinal: number | null): WaitRow | undefined {
  const { state, events } = applying;
  const isJobKnown = jobRow(state, parsed(run).uid) !== undefined;
  const waiting = isJobKnown ? state.get<WaitRow>(keys.wait(run, ordinal)) : undefined;
  if (waiting === undefined) events.push({ type: 'wait-ended', run, ordinal });
  return waiting;
}

export function finishExecution(applying: Applying, finish: Finish): void {
  const { state, events, loggedMs } = applying;
  const parts = parseExecutionId(finish.execution);
  const place = parts === undefined ? undefined : parseRunId(parts.run);
  if (parts === undefined || place === undefined) return lateFinish(applying, finish.execution);
  const { uid } = place;
  const runKey = keyOf(parts.run);
  const key = keys.execution(uid, runKey, parts.ordinal, parts.attempt);
  const row = state.get<ExecutionRow>(key);
  const job = jobRow(state, uid);
  if (row === undefined || job === undefined || row.state !== 'assigned') return lateFinish(applying, finish.execution);

  state.put(key, {
    ...row,
    state: finish.outcome,
    reason: finish.reason,
    startedMs: finish.startedAtMs,
    finishedMs: finish.finishedAtMs,
    exitCode: finish.exitCode,
    signal: finish.signal,
    result: finish.result,
    outputTail: finish.outputTail,
    outputBytes: finish.outputBytes,
    storedBytes: finish.storedBytes,
  });
  state.delete(keys.open(finish.execution));
  const run = state.get<RunRow>(keys.run(uid, runKey)) as RunRow;
  const latenessMs =
    run.scheduledAtMs === null || finish.startedAtMs === null
      ? null
      : Math.max(0, finish.startedAtMs - run.scheduledAtMs);
  events.push({
    type: 'finished',
    execution: finish.execution,
    node: row.node,
    outcome: finish.outcome,
    latenessMs,
    reason: finish.reason,
  });
  countOutcome(state, uid, finish);
  const hasStarted = mayHaveStarted(finish.outcome);
  if (hasStarted) {
    if (!run.hasStarted) patchRun(state, uid, runKey, { hasStarted: true });
    if (run.cause === 's')
      resolveFire(applying, uid, run.scheduledAtMs as number, { outcome: 'ran', reason: '', latenessMs });
  }

  const tries = row.tries + (hasStarted ? 1 : 0);
  const retry = decideRetry({
    outcome: finish.outcome,
    attempt: Math.max(1, tries),
    retries: job.job.retries,
    onLost: job.job.onLost,
  });
  if (retry.type === 'none') return settleTarget(applying, parts.run, finish.outcome);
  const isRetry = retry.type === 'retry';
  const fromMs = loggedMs + (isRetry ? retry.delayMs : placeAgainDelayMs(parts.attempt - tries));
  // A retry has its own time to find a place; a refused attempt only what is left of its own.
  const untilMs = isRetry ? fromMs + startWithinMs(job, null, null) : row.startByMs;
  if (untilMs <= loggedMs) return settleTarget(applying, parts.run, 'refused');
  wait(applying, {
    run: parts.run,
    ordinal: parts.ordinal,
    fromMs,
    untilMs,
    node: isRetry && retry.sameNode ? row.node : null,
    attempt: parts.attempt + 1,
    tries,
  });
}

function assignRun(applying: Applying, id: string, targets: readonly Target[]): boolean {
  const { state } = applying;
  const nodes = targets.map((target) => openNode(state, target));
  if (nodes.length === 0 || nodes.includes(undefined)) return false;
  const { uid } = parsed(id);
  const count = nodes.length;
  const { startByMs } = patchRun(state, uid, keyOf(id), { state: 'running', targets: count, openTargets: count });
  nodes.forEach((node, ordinal) => {
    assignTarget(applying, id, ordinal, node as NodeRow, { attempt: 1, tries: 0, startByMs });
  });
  return true;
}

function assignTarget(
  applying: Applying,
  run: string,
  ordinal: number,
  node: NodeRow,
  { attempt, tries, startByMs }: { readonly attempt: number; readonly tries: number; readonly startByMs: number },
): void {
  const { state, index, loggedMs, events } = applying;
  const { uid } = parsed(run);
  const id = executionIdOf(run, ordinal, attempt);
  state.create(keys.execution(uid, keyOf(run), ordinal, attempt), {
    type: 'execution',
    id,
    node: node.node,
    nodeName: node.name,
    session: node.session,
    fence: index,
    tries,
    startByMs,
    assignedMs: loggedMs,
    state: 'assigned',
    reason: '',
    startedMs: null,
    finishedMs: null,
    exitCode: null,
    signal: null,
    result: null,
    outputTail: '',
    outputBytes: 0,
    storedBytes: 0,
  });
  state.create(keys.open(id), { type: 'open', node: node.node, session: node.session, assignedMs: loggedMs });
  const row = state.get<RunRow>(keys.run(uid, keyOf(run))) as RunRow;
  if (attempt > row.attempts) patchRun(state, uid, keyOf(run), { attempts: attempt });
  events.push({ type: 'assigned', execution: id, node: node.node, session: node.session });
}

/** One target has its last attempt behind it; with the last one the run ends. */
function settleTarget(applying: Applying, run: string, outcome: ExecutionOutcome): void {
  const { uid } = parsed(run);
  const row = applying.state.get<RunRow>(keys.run(uid, keyOf(run))) as RunRow;
  const changed = patchRun(applying.state, uid, keyOf(run), {
    openTargets: row.openTargets - 1,
    succeeded: row.succeeded + (outcome === 'succeeded' ? 1 : 0),
    cancelled: row.cancelled + (outcome === 'cancelled' ? 1 : 0),
    failed: row.failed + (outcome !== 'succeeded' && outcome !== 'cancelled' ? 1 : 0),
  });
  if (changed.openTargets > 0) return;
  if (!changed.hasStarted && changed.succeeded === 0 && changed.cancelled === 0)
    endRun(applying, run, 'missed', 'no-target');
  else endRun(applying, run, judgeRun(changed), '');
}

function endRun(applying: Applying, id: string, end: RunState, reason: string): void {
  const { state, events, loggedMs } = applying;
  const { uid } = parsed(id);
  const key = keyOf(id);
  const run = patchRun(state, uid, key, { state: end, reason, finishedMs: loggedMs });
  if (end === 'missed' && run.cause === 's') {
    resolveFire(applying, uid, run.scheduledAtMs as number, {
      outcome: 'missed',
      reason: 'no-target',
      latenessMs: null,
    });
  }
  if (run.newer !== null) patchRun(state, uid, run.newer, { older: run.older });
  if (run.older !== null) patchRun(state, uid, run.older, { newer: run.newer });
  const status = statusRow(state, uid);
  state.create(keys.finished(uid, status.finishedNext), { type: 'finished', run: key });
  patchStatus(state, uid, {
    openRuns: status.openRuns - 1,
    openHead: status.openHead === key ? run.older : status.openHead,
    finishedNext: status.finishedNext + 1,
    ...(end === 'missed'
      ? {}
      : {
          status:
            end === 'succeeded'
              ? ('success' as const)
              : end === 'partially-failed'
                ? ('partially_failed' as const)
                : ('failed' as const),
        }),
  });
  const job = jobRow(state, uid) as JobRow;
  trimRuns(state, uid, job.job.keepRuns);
  const isLast = end === 'succeeded' && job.job.ephemeral;
  events.push({
    type: 'run-ended',
    run: id,
    job: job.job.name,
    state: end,
    last: isLast ? finishedRun(state, uid, state.get<RunRow>(keys.run(uid, key)) ?? run) : null,
  });
  if (end !== 'succeeded') return;
  startChildren(applying, uid, id);
  if (isLast) removeJob(applying, job);
}

function startChildren(applying: Applying, uid: string, parentRun: string): void {
  const { state } = applying;
  for (const childUid of statusRow(state, uid).children) {
    const child = jobRow(state, childUid);
    if (child === undefined || child.job.disabled) continue;
    if (child.job.concurrency === 'forbid' && statusRow(state, childUid).openRuns > 0) continue;
    const hasRoom = state.meta.waits < state.meta.settings.pendingRunsMax;
    const run = createRun(applying, child, { cause: 'p', key: parentRun, scheduledAtMs: null }, []);
    if (hasRoom) continue;
    endWait(applying, run, null);
    endRun(applying, run, 'missed', 'shed');
  }
}

/** Drops the oldest finished runs beyond `keep_runs`, with their executions. */
function trimRuns(state: State, uid: string, keepRuns: number): void {
  for (let trimmed = 0; trimmed < TRIMMED_PER_RUN; trimmed += 1) {
    const { finishedFirst, finishedNext } = statusRow(state, uid);
    if (finishedNext - finishedFirst <= keepRuns) return;
    dropFinishedRun(state, uid, finishedFirst);
    patchStatus(state, uid, { finishedFirst: finishedFirst + 1 });
  }
}

/** Counters count executions, as Dkron's; attempts that never started count nowhere. */
function countOutcome(state: State, uid: string, finish: Finish): void {
  if (!mayHaveStarted(finish.outcome)) return;
  const status = statusRow(state, uid);
  if (finish.outcome === 'succeeded') {
    patchStatus(state, uid, { successCount: status.successCount + 1, lastSuccessMs: finish.finishedAtMs });
  } else {
    patchStatus(state, uid, { errorCount: status.errorCount + 1, lastErrorMs: finish.finishedAtMs });
  }
}

function lateFinish(applying: Applying, execution: string): void {
  const { state, events } = applying;
  state.meta = { ...state.meta, lateFinishes: state.meta.lateFinishes + 1 };
  events.push({ type: 'late-finish', execution });
}

function wait(applying: Applying, row: Omit<WaitRow, 'type'>): void {
  const { state, events } = applying;
  const waiting: WaitRow = { type: 'wait', ...row };
  state.create(keys.wait(row.run, row.ordinal), waiting);
  state.meta = { ...state.meta, waits: state.meta.waits + 1 };
  events.push({ type: 'waiting', wait: waiting });
}

export function endWait(applying: Applying, run: string, ordinal: number | null): void {
  const { state, events } = applying;
  state.delete(keys.wait(run, ordinal));
  state.meta = { ...state.meta, waits: state.meta.waits - 1 };
  events.push({ type: 'wait-ended', run, ordinal });
}

function openNode(state: State, target: Target): NodeRow | undefined {
  const node = state.get<NodeRow>(keys.node(target.node));
  return node?.isOpen === true && node.session === target.session ? node : undefined;
}

/** Grows with each refusal in a row, so that a node that refuses everything does not fill the log. */
function placeAgainDelayMs(refusals: number): number {
  return Math.min(10_000, 50 * 2 ** Math.min(8, Math.max(0, refusals - 1)));
}

/** Counted from the commit. Default: until the next instant, at most ten minutes. */
function startWithinMs(row: JobRow, scheduledAtMs: number | null, nextMs: number | null): number {
  if (row.job.startWithinMs !== null) return row.job.startWithinMs;
  if (scheduledAtMs === null || nextMs === null) return START_WITHIN_MS_DEFAULT;
  return Math.min(START_WITHIN_MS_DEFAULT, nextMs - scheduledAtMs);
}

function startBy(state: State, run: string): number {
  return (state.get<RunRow>(keys.run(parsed(run).uid, keyOf(run))) as RunRow).startByMs;
}

function nextGroup(groupMs: number, ordinal: number, loggedMs: number): { ms: number; ordinal: number } {
  if (loggedMs > groupMs) return { ms: loggedMs, ordinal: 0 };
  return ordinal + 1 < 1_000_000 ? { ms: groupMs, ordinal: ordinal + 1 } : { ms: groupMs + 1, ordinal: 0 };
}

/** The run id without its uid: `<cause><key>`, the last part of its row's key. */
export function keyOf(run: string): string {
  return run.slice(run.lastIndexOf('-') + 1);
}

function parsed(run: string): { readonly uid: string } {
  const parts = parseRunId(run);
  if (parts === undefined) throw new Error(`not a run id: ${run}`);
  return parts;
}
