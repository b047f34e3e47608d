/** What the HTTP door shows beside the operations: probes, metrics, the node's own page. */
import type { FastifyInstance } from 'fastify';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { Clock } from '../base/time.ts';
import { tagsOfNode } from '../jobs/placement.ts';
import type { HealthView } from './backend.ts';
import type { ApiContext } from './call.ts';
import { isPresent, type Query } from './query.ts';

/** What a node must be able to say of itself. */
export interface ProbeBackend {
  health(): Promise<Pick<HealthView, 'checks'>>;
  /** Prometheus text of all threads of this node. */
  metrics(): Promise<string>;
}

export interface ProbeContext {
  readonly backend: ProbeBackend;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** For supervisors and load balancers, which have no token. */
export const OPEN_PATHS: ReadonlySet<string> = new Set(['/livez', '/readyz']);

export function addPages(
  instance: FastifyInstance,
  options: { readonly context: ApiContext; readonly nodeName: string; readonly version: string },
): void {
  const { backend } = options.context;
  addProbes(instance, backend);

  const page = async () => {
    const members = (await backend.members()).items;
    const own = members.find((view) => view.name === options.nodeName);
    const left = members.filter((view) => !view.isAlive && view.hasLeft).length;
    const failed = members.filter((view) => !view.isAlive).length - left;
    return {
      agent: { name: options.nodeName, version: options.version },
      serf: { members: String(members.length), failed: String(failed), left: String(left), health_score: '0' },
      tags: own === undefined ? {} : tagsOfNode(own),
    };
  };
  instance.get('/v1', page);
  instance.get('/v1/', page);
}

export function addProbes(instance: FastifyInstance, backend: ProbeBackend): void {
  // The process answers, so it lives; what it can do is said by /readyz.
  instance.get('/livez', (_request, reply) => reply.type(TEXT).send('ok'));

  instance.get('/readyz', async (request, reply) => {
    const health = await backend.health();
    const isReady = health.checks.every((check) => check.isOk);
    const isVerbose = isPresent(request.query as Query, 'verbose');
    return reply
      .code(isReady ? 200 : 503)
      .type(TEXT)
      .send(isVerbose || !isReady ? readyText(health, isReady) : 'ok');
  });

  instance.get('/metrics', async (_request, reply) => reply.type(METRICS).send(await backend.metrics()));
}

function readyText(health: Pick<HealthView, 'checks'>, isReady: boolean): string {
  const lines = health.checks.map((check) => {
    const detail = check.detail === '' ? '' : `: ${check.detail}`;
    return `[${check.isOk ? '+' : '-'}] ${check.name} ${check.isOk ? 'ok' : 'failed'}${detail}`;
  });
  return `${lines.join('\n')}\n${isReady ? 'ready' : 'not ready'}\n`;
}

const TEXT = 'text/plain; charset=utf-8';
const METRICS = 'text/plain; version=0.0.4; charset=utf-8';
