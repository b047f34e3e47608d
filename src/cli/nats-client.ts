import { randomUUID } from 'node:crypto';
import {
  AuthorizationError,
  type ConnectionOptions,
  connect,
  headers as createHeaders,
  credsAuthenticator,
} from 'nats';
import { parseNatsAddress } from '../api/nats-address.ts';
import { CodedError } from '../base/errors.ts';
import type { NatsDoor } from '../cluster/nats-door.ts';
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
  const connection = await connect({
    servers: [...address.servers],
    name: 'carillon client',
    timeout: CONNECT_MS,
    reconnect: false,
    ...credentialsOf(options, address),
    ...(address.tls === undefined ? {} : { tls: {} }),
  }).catch((cause: unknown) => {
    throw cause instanceof AuthorizationError
      ? refused(options.url, cause)
      : unreachable(options.url, cause, CONNECT_MS);
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

/** The token of the API is for HTTP: NATS gets it only where nothing else was given for it. */
function credentialsOf(
  { natsCreds, token }: ClientOptions,
  address: NatsDoor,
): Pick<ConnectionOptions, 'authenticator' | 'user' | 'pass' | 'token'> {
  if (natsCreds !== undefined) return { authenticator: credsAuthenticator(natsCreds) };
  if (address.user !== undefined) return { user: address.user, pass: address.password ?? '' };
  const own = address.token ?? token;
  return own === undefined ? {} : { token: own };
}

function refused(url: string, cause: AuthorizationError): CodedError {
  return new CodedError(
    'unauthorized',
    `NATS at ${withoutSecrets(url)} refuses these credentials (${cause.message}): write them into the address, ` +
      'nats://user:password@host:4222, or give --nats-creds',
    { cause },
  );
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
  cluster: 'cluster.status',
  'server-add': 'cluster.add',
  'server-promote': 'cluster.promote',
  'server-replace': 'cluster.replace',
  'server-remove': 'cluster.remove',
  transfer: 'cluster.transfer',
  ready: 'cluster.health',
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
