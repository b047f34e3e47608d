import { randomUUID } from 'node:crypto';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { CodedError } from '../base/errors.ts';
import {
  CALL_TIMEOUT_MS,
  type Client,
  type ClientCall,
  type ClientOperation,
  type ClientOptions,
  type ClientReply,
  unreachable,
} from './client.ts';

/** Over `node:http` rather than `fetch`, whose five minutes for an answer are too few for a run. */
export function openHttpClient(options: ClientOptions): Client {
  const base = parseUrl(options.url);
  const isHttps = base.protocol === 'https:';
  const agent = isHttps ? new HttpsAgent({ keepAlive: true }) : new HttpAgent({ keepAlive: true });
  return {
    url: options.url,
    call: (call) =>
      new Promise<ClientReply>((resolve, reject) => {
        const { method, path } = ROUTES[call.operation](call);
        const url = new URL(`${base.pathname.replace(/\/$/, '')}${path}${queryText(call)}`, base);
        const timeoutMs = call.timeoutMs ?? CALL_TIMEOUT_MS;
        const headers: Record<string, string> = { Accept: 'application/json' };
        if (options.token !== undefined) headers['Authorization'] = `Bearer ${options.token}`;
        if (method !== 'GET') headers['Idempotency-Key'] = randomUUID();
        if (call.body !== undefined) {
          headers['Content-Type'] = 'application/json';
          headers['Content-Length'] = String(Buffer.byteLength(call.body));
        }
        const send = isHttps ? httpsRequest : httpRequest;
        const signal = AbortSignal.timeout(timeoutMs);
        const request = send(url, { method, headers, agent, signal }, (response) => {
          readReply(response).then(resolve, (cause: unknown) => reject(unreachable(options.url, cause, timeoutMs)));
        });
        request.on('error', (cause) => reject(unreachable(options.url, cause, timeoutMs)));
        request.end(call.body);
      }),
    close: async () => agent.destroy(),
  };
}

type Route = { readonly method: string; readonly path: string };

const ROUTES: Readonly<Record<ClientOperation, (call: ClientCall) => Route>> = {
  put: () => ({ method: 'POST', path: '/v1/jobs' }),
  get: (call) => ({ method: 'GET', path: jobPath(call) }),
  list: () => ({ method: 'GET', path: '/v1/jobs' }),
  delete: (call) => ({ method: 'DELETE', path: jobPath(call) }),
  toggle: (call) => ({ method: 'POST', path: `${jobPath(call)}/toggle` }),
  run: (call) => ({ method: 'POST', path: `${jobPath(call)}/run` }),
  'run-get': (call) => ({ method: 'GET', path: `${jobPath(call)}/runs/${encodeURIComponent(call.id ?? '')}` }),
  executions: (call) => ({ method: 'GET', path: `${jobPath(call)}/executions` }),
  execution: (call) => ({ method: 'GET', path: `${jobPath(call)}/executions/${encodeURIComponent(call.id ?? '')}` }),
  fires: (call) => ({ method: 'GET', path: `${jobPath(call)}/fires` }),
  busy: () => ({ method: 'GET', path: '/v1/busy' }),
  members: () => ({ method: 'GET', path: '/v1/members' }),
  leader: () => ({ method: 'GET', path: '/v1/leader' }),
  health: () => ({ method: 'GET', path: '/health' }),
  cluster: () => ({ method: 'GET', path: '/v1/cluster' }),
  'server-add': (call) => ({ method: 'POST', path: serverPath(call) }),
  'server-promote': (call) => ({ method: 'POST', path: `${serverPath(call)}/promote` }),
  'server-replace': (call) => ({ method: 'POST', path: `${serverPath(call)}/replace` }),
  'server-remove': (call) => ({ method: 'DELETE', path: serverPath(call) }),
  transfer: () => ({ method: 'POST', path: '/v1/cluster/transfer' }),
  ready: () => ({ method: 'GET', path: '/readyz?verbose' }),
};

function jobPath(call: ClientCall): string {
  return `/v1/jobs/${encodeURIComponent(call.name ?? '')}`;
}

function serverPath(call: ClientCall): string {
  return `/v1/cluster/servers/${encodeURIComponent(call.name ?? '')}`;
}

function queryText(call: ClientCall): string {
  const text = new URLSearchParams(call.query).toString();
  return text === '' ? '' : `?${text}`;
}

async function readReply(response: IncomingMessage): Promise<ClientReply> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return {
    status: response.statusCode ?? 0,
    header: (name) => {
      const value = response.headers[name.toLowerCase()];
      return Array.isArray(value) ? value.join(', ') : value;
    },
    text: Buffer.concat(chunks).toString('utf8'),
  };
}

function parseUrl(text: string): URL {
  if (!URL.canParse(text)) throw new CodedError('invalid', `--url ${text} is not an address: write http://host:8080`);
  return new URL(text);
}
