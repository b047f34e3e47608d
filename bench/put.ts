/** How many new jobs a second can be declared? */
import { echoJob } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import { type BenchContext, bestOf, clientsText, closedLoop, countFromZero, warmUp } from './harness.ts';
import { expectStatus, type HttpConnection } from './http-client.ts';

export async function put(context: BenchContext): Promise<Figure[]> {
  const { scale, progress } = context;
  const target = await context.open();
  const label = `put a new job, ${clientsText(scale.putClients)}`;
  try {
    const nextNumber = countFromZero();
    const call = async (connection: HttpConnection) => {
      // Due once a day, so that nothing runs meanwhile. Each name is new.
      const body = JSON.stringify(echoJob(`bench-put-${nextNumber()}`, '@every 24h'));
      expectStatus(await connection.call('POST', '/v1/jobs', body), 201, 'put');
    };
    progress.step('put: warm-up');
    await warmUp(context, target, call);
    progress.step(`put: ${label}`);
    const measures = await bestOf(scale.bestOf, () =>
      closedLoop({ target, clients: scale.putClients, seconds: scale.seconds, call }),
    );
    return [{ question: 'put', label, measures }];
  } finally {
    await target.close();
  }
}
