import assert from 'node:assert/strict';
import { uidFromKey } from '../../src/jobs/ids.ts';
import { countInstants } from '../../src/jobs/next.ts';
import { isFinished } from '../../src/jobs/run.ts';
import {
  encodeRow,
  type FireRow,
  type GenerationRow,
  type JobRow,
  keys,
  type StateRow,
  type StatusRow,
} from '../../src/scheduler/rows.ts';
import { hashRow } from '../../src/scheduler/state.ts';
import { type Machine, makeJob, schedules } from './machine.ts';

/** What must hold of the rows after every entry. Throws at the first thing that does not. */
export function checkState(machine: Machine): void {
  const rows = machine.rows();
  checkHash(machine, rows);
  checkCounts(machine, rows);
  checkChildren(rows);
  for (const [, row] of rows) {
    if (row.type !== 'job') continue;
    checkOpenRuns(machine, row.uid);
    checkLedger(machine, row.uid);
    const { nextMs } = machine.status(row.uid);
    assert.equal(nextMs === null || rows.has(keys.due(nextMs, row.uid)), true, `${row.uid} is in the due index`);
  }
}

function checkHash(machine: Machine, rows: ReadonlyMap<string, StateRow>): void {
  let sum = 0;
  for (const [key, row] of rows) sum = (sum + hashRow(key, encodeRow(row))) >>> 0;
  assert.equal(machine.state.rowHash(), sum, 'the row hash is the sum over all rows');
}

function checkCounts(machine: Machine, rows: ReadonlyMap<string, StateRow>): void {
  const count = (type: StateRow['type']) => [...rows.values()].filter((row) => row.type === type).length;
  const { meta } = machine.state;
  assert.equal(count('wait'), meta.waits, 'waits are counted');
  assert.equal(count('job'), meta.jobs, 'jobs are counted');
  assert.equal(count('name'), meta.jobs, 'each job has its name');
  assert.equal(count('status'), meta.jobs, 'each job has its status');
  assert.equal(count('request'), meta.requestNext - meta.requestFirst, 'kept answers are in order');
  const due = [...rows.values()].filter((row) => row.type === 'status' && row.nextMs !== null).length;
  assert.equal(count('due'), due, 'the due index has nothing else');
  const assigned = [...rows.values()].filter((row) => row.type === 'execution' && row.state === 'assigned').length;
  assert.equal(count('open'), assigned, 'what is open is assigned');
}

/** Each child hangs on its parent, or on the parent's name while there is no such job; nothing else does. */
function checkChildren(rows: ReadonlyMap<string, StateRow>): void {
  const named: string[] = [];
  const listed: string[] = [];
  for (const row of rows.values()) {
    if (row.type === 'status' || row.type === 'orphans') listed.push(...row.children);
    if (row.type !== 'job' || row.job.parentJob === '') continue;
    named.push(row.uid);
    const parent = rows.get(keys.name(row.job.parentJob));
    const list = rows.get(parent?.type === 'name' ? keys.status(parent.uid) : keys.orphans(row.job.parentJob));
    const children = list?.type === 'status' || list?.type === 'orphans' ? list.children : [];
    assert.equal(children.includes(row.uid), true, `${row.uid} is a child of '${row.job.parentJob}'`);
  }
  assert.deepEqual(listed.sort(), named.sort(), 'each child is listed once');
}

function checkOpenRuns(machine: Machine, uid: string): void {
  const runs = machine.openRuns(uid);
  assert.equal(runs.length, machine.status(uid).openRuns, 'open runs are counted');
  let newer: string | null = null;
  for (const run of runs) {
    assert.equal(isFinished(run.state), false, `run ${run.id} is open`);
    assert.equal(run.newer, newer, `run ${run.id} knows its newer neighbour`);
    newer = run.id.slice(run.id.lastIndexOf('-') + 1);
  }
}

/** Linked both ways, in order, folded, and complete: every instant of each generation is in exactly one row. */
export function checkLedger(machine: Machine, uid: string): void {
  const fires = machine.fires(uid);
  const status = machine.status(uid);
  assert.equal(fires[0]?.firstMs ?? null, status.fireTail, 'the tail is the oldest');
  fires.forEach((row, at) => {
    assert.equal(row.older, fires[at - 1]?.firstMs ?? null, 'older neighbour');
    assert.equal(row.newer, fires[at + 1]?.firstMs ?? null, 'newer neighbour');
    assert.ok(row.firstMs <= row.lastMs && row.firstMs > (fires[at - 1]?.lastMs ?? 0), 'rows are in order');
    const next = fires[at + 1];
    const isAlike = next?.outcome === row.outcome && next.reason === row.reason && next.generation === row.generation;
    assert.equal(isAlike && row.outcome !== 'open', false, 'neighbours that are alike are one row');
  });
  const byGeneration = groupByGeneration(fires);
  for (const [generation, own] of byGeneration) checkGeneration(machine, uid, generation, own, status);
}

function groupByGeneration(fires: readonly FireRow[]): Map<number, FireRow[]> {
  const groups = new Map<number, FireRow[]>();
  for (const row of fires) groups.set(row.generation, [...(groups.get(row.generation) ?? []), row]);
  return groups;
}

function checkGeneration(machine: Machine, uid: string, generation: number, own: FireRow[], status: StatusRow): void {
  const first = own[0] as FireRow;
  const last = own.at(-1) as FireRow;
  const source = sourceOf(machine, uid, generation);
  const untilMs = generation === status.generation ? status.cursorMs : last.lastMs;
  const { schedule, context } = schedules.sourceOf(source, 0);
  const said = countInstants(schedule, context, first.firstMs - 1, untilMs);
  const total = own.reduce((sum, row) => sum + row.count, 0);
  assert.deepEqual(
    { count: total, firstMs: first.firstMs, lastMs: last.lastMs },
    said,
    `generation ${generation} of ${uid} is what its schedule says`,
  );
}

function sourceOf(machine: Machine, uid: string, generation: number): Pick<JobRow, 'job' | 'zone' | 'anchorMs'> {
  const job = machine.job(uid);
  if (generation === job.generation) return job;
  const closed = machine.state.get<GenerationRow>(keys.generation(uid, generation));
  assert.ok(closed !== undefined, `generation ${generation} of ${uid} is kept while its fires are`);
  return { job: makeJob({ schedule: closed.schedule }), zone: closed.zone, anchorMs: closed.anchorMs };
}

/** Rows that belong to a job, by its uid. */
export function rowsOf(machine: Machine, uid: string): string[] {
  return [...machine.rows().keys()].filter((key) =>
    key.split('/').some((part) => part.startsWith(`${uid}-`) || uidFromKey(part) === uid),
  );
}
