import { randomUUID } from 'node:crypto';
import { connect, headers as createHeaders, credsAuthenticator } from 'nats';
import { parseNatsAddress } from '../api/nats-address.ts';
import { CodedError } from '../base/errors.ts';
import {
  CALL_TIMEOUT_MS,
  type Client,
  type ClientCall,
  type ClientOperation,
  type ClientOptions,
  unreachable,
  withoutSecrets,
} from './client.ts';

const CONNECT_MS = 5_000;

export async function openNatsClient(options: ClientOptions): Promise<Client> {
  const address = parseNatsAddress(options.url);
  const token = options.token ?? address.token;
  const connection = await connect({
    servers: [...address.servers],
    name: 'carillon client',
    timeout: CONNECT_MS,
    reconnect: false,
    ...(token === undefined ? {} : { token }),
    ...(address.user === undefined ? {} : { user: address.user, pass: address.pass ?? '' }),
    ...(options.natsCreds === undefined ? {} : { authenticator: credsAuthenticator(options.natsCreds) }),
    ...(address.isTls ? { tls: {} } : {}),
  }).catch((cause: unknown) => {
    throw unreachable(options.url, cause, CONNECT_MS);
  });
  return {
    url: options.url,
    async call(call) {
      const subject = `carillon.${options.cluster}.api.${SUBJECTS[call.operation]}`;
      const timeoutMs = call.timeoutMs ?? CALL_TIMEOUT_MS;
      const headers = createHeaders();
      headers.set('Nats-Msg-Id', randomUUID());
      try {
        const reply = await connection.request(subject, bodyOf(call), { timeout: timeoutMs, headers });
        const code = reply.headers?.get('Nats-Service-Error-Code') ?? '';
        const header = (name: string): string | undefined => reply.headers?.get(name) || undefined;
        return { status: code === '' ? 200 : Number(code), header, text: reply.string() };
      } catch (cause) {
        throw failure(options, cause, timeoutMs);
      }
    },
    close: () => connection.close(),
  };
}

const SUBJECTS: Readonly<Record<ClientOperation, string>> = {
  put: 'job.put',
  get: 'job.get',
  list: 'job.list',
  delete: 'job.delete',
  toggle: 'job.toggle',
  run: 'job.run',
  'run-get': 'job.run-get',
  executions: 'job.executions',
  execution: 'job.execution',
  fires: 'job.fires',
  busy: 'job.busy',
  members: 'cluster.members',
  leader: 'cluster.leader',
  health: 'cluster.health',
};

function bodyOf(call: ClientCall): string {
  if (call.body !== undefined) {
    if (call.query?.['runoncreate'] !== undefined) {
      throw new CodedError('invalid', '--run-on-create needs an http:// address; over NATS put the job, then run it');
    }
    return call.body;
  }
  const metadata: Record<string, string> = {};
  const query: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(call.query ?? {})) {
    const match = /^metadata\[(.+)\]$/.exec(key);
    if (match === null) query[key] = value;
    else metadata[match[1] as string] = value;
  }
  const filter = Object.keys(metadata).length === 0 ? {} : { metadata };
  return JSON.stringify({
    ...query,
    ...filter,
    ...(call.name === undefined ? {} : { name: call.name }),
    ...(call.id === undefined ? {} : { id: call.id }),
  });
}

function failure(options: ClientOptions, cause: unknown, timeoutMs: number): CodedError {
  if (cause instanceof CodedError) return cause;
  const name = cause instanceof Error ? `${cause.name} ${cause.message}` : '';
  if (/NoResponders|no responders/i.test(name)) {
    const where = `${withoutSecrets(options.url)}, cluster ${options.cluster}`;
    return new CodedError(
      'no-leader',
      `no server answers at ${where}: is one running? Set --cluster or CARILLON_CLUSTER`,
      { cause },
    );
  }
  return unreachable(options.url, cause, timeoutMs);
}
