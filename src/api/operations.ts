/**
 * What clients can ask for, once, for all doors: an operation takes what a door has read, talks to the backend and
 * gives an answer. Doors differ in how they find the operation and how they write the answer, in nothing else.
 *
 *   HTTP ─┐                          ┌─► read-operations.ts  (jobs, executions, fires, runs, nodes)
 *         ├─► Call ─► perform ───────┤
 *   NATS ─┘             │            ├─► write-operations.ts (put, delete, toggle, run)
 *                       │            └─► membership-operations.ts (the servers of the cluster)
 *                       └─ failures become problems, requests are counted
 */
import { CodedError } from '../base/errors.ts';
import type { Answer } from './answer.ts';
import type { ApiContext, Call } from './call.ts';
import {
  addServer,
  getCluster,
  promoteServer,
  removeServer,
  replaceServer,
  transferLeadership,
} from './membership-operations.ts';
import { problem, problemOf } from './problem.ts';
import { isConsistent } from './query.ts';
import {
  getExecution,
  getHealth,
  getIsLeader,
  getJob,
  getLeader,
  getRun,
  listBusy,
  listExecutions,
  listFires,
  listJobs,
  listMembers,
  listRuns,
} from './read-operations.ts';
import { deleteJob, putJob, runJob, toggleJob } from './write-operations.ts';

export type Door = 'http' | 'nats';

export type OperationName = keyof typeof OPERATIONS;

/** Never rejects: a failure is an answer. */
export async function perform(context: ApiContext, door: Door, operation: OperationName, call: Call): Promise<Answer> {
  const startedMs = context.clock.monotonic();
  const answer = await attempt(context, operation, call);
  context.metrics.count('carillon_requests_total', { door, operation, status: String(answer.status) });
  context.metrics.observe('carillon_request_seconds', (context.clock.monotonic() - startedMs) / 1_000, {
    door,
    operation,
  });
  return answer;
}

const OPERATIONS = {
  put: putJob,
  get: getJob,
  list: listJobs,
  delete: deleteJob,
  toggle: toggleJob,
  run: runJob,
  'run-get': getRun,
  runs: listRuns,
  executions: listExecutions,
  execution: getExecution,
  fires: listFires,
  busy: listBusy,
  members: listMembers,
  leader: getLeader,
  isleader: getIsLeader,
  health: getHealth,
  cluster: getCluster,
  'server-add': addServer,
  'server-promote': promoteServer,
  'server-remove': removeServer,
  'server-replace': replaceServer,
  transfer: transferLeadership,
} as const satisfies Record<string, (context: ApiContext, call: Call) => Promise<Answer>>;

const READS: ReadonlySet<OperationName> = new Set([
  'get',
  'list',
  'run-get',
  'runs',
  'executions',
  'execution',
  'fires',
  'busy',
  'members',
] satisfies OperationName[]);

async function attempt(context: ApiContext, operation: OperationName, call: Call): Promise<Answer> {
  try {
    // Once for all reads: what it waits for is in the state that they then look at.
    if (READS.has(operation) && isConsistent(call.query)) await context.backend.catchUp();
    return await OPERATIONS[operation](context, call);
  } catch (error) {
    if (error instanceof CodedError && error.code !== 'internal') return problemOf(error);
    context.log.error('a request failed', {
      operation,
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    });
    return problem('internal', 'something went wrong in the node; its log says what');
  }
}
