/** How many new jobs a second can be declared over NATS, at three real servers, with 256 calls in flight? */
import type { Msg, NatsConnection } from 'nats';
import { echoJob } from './bench-jobs.ts';
import type { Figure } from './figure.ts';
import { type BenchContext, countFromZero, type Scale } from './harness.ts';
import { connectClient, type NatsLoad, natsLoop, request } from './nats-load.ts';
import { inFlightText } from './raft.ts';
import { type Servers, startServers } from './raft-servers.ts';

export const PUTS_IN_FLIGHT = 256;
const PUT_COUNTS = [1, PUTS_IN_FLIGHT];

export async function jobPut({ scale, progress }: BenchContext): Promise<Figure[]> {
  const question = 'job-put';
  progress.step('job-put: start');
  const servers = await startServers();
  const connection = await connectClient(servers.nats);
  const figures: Figure[] = [];
  try {
    const puts = newPuts(servers);
    progress.step('job-put: warm-up');
    await warmUpPuts(connection, puts, scale);
    for (const inFlight of PUT_COUNTS) {
      const label = `job.put over NATS, ${inFlightText(inFlight)}`;
      progress.step(`job-put: ${label}`);
      const measures = await natsLoop(connection, servers, { ...puts, inFlight, seconds: scale.seconds });
      figures.push({ question, label, measures });
    }
    return figures;
  } finally {
    await connection.close();
    await servers.close();
  }
}

/** Each name is new. Due once a day, so that nothing runs meanwhile. */
export function newPuts({ putSubject }: Servers): Pick<NatsLoad, 'subject' | 'payload' | 'check'> {
  const nextNumber = countFromZero();
  const payload = () => Buffer.from(JSON.stringify(echoJob(`bench-put-${nextNumber()}`, '@every 24h')));
  return { subject: () => putSubject, payload, check: checkPut };
}

export async function warmUpPuts(
  connection: NatsConnection,
  puts: Pick<NatsLoad, 'subject' | 'payload' | 'check'>,
  scale: Scale,
): Promise<void> {
  const load = { ...puts, inFlight: PUTS_IN_FLIGHT, seconds: scale.warmUpSeconds };
  await request(connection, load, 1_000 * scale.warmUpSeconds);
}

/** Where no leader is found in time it may be tried again. Throws where the job is refused. */
function checkPut(answer: Msg): boolean {
  if (isAcknowledged(answer)) return true;
  const code = errorCodeOf(answer);
  if (code === NO_LEADER) return false;
  throw new Error(`a job was refused with ${code}: ${answer.string().slice(0, 300)}`);
}

export function isAcknowledged(answer: Msg): boolean {
  return errorCodeOf(answer) === '';
}

function errorCodeOf(answer: Msg): string {
  return answer.headers?.get('Nats-Service-Error-Code') ?? '';
}

const NO_LEADER = '503';
