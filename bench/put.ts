/** How many new jobs a second can be declared? */
import { echoJob } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import { type BenchContext, bestOf, clientsText, closedLoop } from './harness.ts';
import { expectStatus } from './http-client.ts';

export async function put(context: BenchContext): Promise<Figure[]> {
  const { scale, progress } = context;
  const target = await context.open();
  const label = `put a new job, ${clientsText(scale.putClients)}`;
  try {
    progress.step(`put: ${label}`);
    const measures = await bestOf(scale.bestOf, (attempt) =>
      closedLoop({
        target,
        clients: scale.putClients,
        seconds: scale.seconds,
        async call(connection, number) {
          // Due once a day, so that nothing runs meanwhile.
          const body = JSON.stringify(echoJob(`bench-put-${attempt}-${number}`, '@every 24h'));
          expectStatus(await connection.call('POST', '/v1/jobs', body), 201, 'put');
        },
      }),
    );
    return [{ question: 'put', label, measures }];
  } finally {
    await target.close();
  }
}
