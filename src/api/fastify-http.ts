/**
 * The HTTP door: Dkron's paths on fastify. It finds the operation, hands over query and body as they came, and writes
 * the answer; what they mean is said in `operations.ts`. Nothing of fastify shows outside this file and `http-pages.ts`.
 */
import { maxHeaderSize } from 'node:http';
import type { Socket } from 'node:net';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { CodedError } from '../base/errors.ts';
import type { Answer } from './answer.ts';
import { createBearerGuard } from './bearer.ts';
import type { ApiContext } from './call.ts';
import { foreignPage, isLoopbackHost, type PageHeaders } from './foreign-pages.ts';
import { addPages, addProbes, OPEN_PATHS, type ProbeContext } from './http-pages.ts';
import { BODY_BYTES_MAX, writeJson, writePrettyJson } from './json-text.ts';
import { type OperationName, perform } from './operations.ts';
import { PROBLEM_TYPE, problem } from './problem.ts';
import { isPresent, type Query } from './query.ts';

export interface HttpOptions extends DoorOptions {
  readonly context: ApiContext;
  readonly version: string;
}

export interface ProbeOptions extends DoorOptions {
  readonly context: ProbeContext;
}

interface DoorOptions {
  /** Shown in `X-Whom`. */
  readonly nodeName: string;
  /** With it all but the liveness and readiness probes is for those who bring it. Default: none is asked for. */
  readonly apiToken?: string | null;
  /** How long headers and body of a request may take to arrive, ms. Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** Connections at once; further ones are closed at once. Default 20,000. */
  readonly connectionsMax?: number;
  /** Whether only this machine reaches the door, so that other names in `Host` are refused. Default: as it listens. */
  readonly isLoopback?: boolean;
}

export interface HttpDoor {
  /** For tests: requests without a socket. */
  readonly instance: FastifyInstance;
  /** Throws `address-in-use`, or `settings` for an address that this machine does not have. Gives the real URL. */
  listen(address: { readonly host: string; readonly port: number }): Promise<string>;
  /** Takes no new requests; waits up to `graceMs` for the open ones, then cuts them. */
  close(graceMs: number): Promise<void>;
}

export function createHttpDoor(options: HttpOptions): HttpDoor {
  return createDoor(options, options.context, (instance) => {
    addOperations(instance, options.context);
    addPages(instance, options);
  });
}

/** For a node that answers no calls: its probes and metrics only. */
export function createProbeDoor(options: ProbeOptions): HttpDoor {
  return createDoor(options, options.context, (instance) => addProbes(instance, options.context.backend));
}

function createDoor(
  options: DoorOptions,
  context: ProbeContext,
  addRoutes: (instance: FastifyInstance) => void,
): HttpDoor {
  const { requestTimeoutMs = 30_000, apiToken = null } = options;
  const instance = fastify({
    logger: false,
    bodyLimit: BODY_BYTES_MAX,
    requestTimeout: requestTimeoutMs,
    http: {
      // Where headers had more time than the whole request, Node would give the whole request theirs.
      headersTimeout: Math.min(requestTimeoutMs, 10_000),
      requestTimeout: requestTimeoutMs,
      // Node looks for requests that are too slow only so often, by default every 30 s.
      connectionsCheckingInterval: Math.min(requestTimeoutMs, 5_000),
    },
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    // A name of 255 bytes is up to three times as long when it is escaped.
    routerOptions: { maxParamLength: 1_024, ignoreTrailingSlash: false },
    clientErrorHandler,
    frameworkErrors: (error, _request, reply) => {
      void sendAnswer(reply, problem('invalid', `the address cannot be read: ${error.message}`), undefined);
    },
  });
  instance.server.maxConnections = options.connectionsMax ?? 20_000;

  // Until it listens nobody but this process reaches it.
  let { isLoopback = true } = options;
  takeAnyBody(instance);
  const guard = apiToken === null ? null : createBearerGuard({ ...context, token: apiToken });
  instance.addHook('onRequest', (request, reply, done) => {
    reply.header('X-Whom', options.nodeName);
    // Dkron ignores the type of a request, and clients send all sorts.
    delete request.raw.headers['content-type'];
    const { host, origin } = request.headers;
    const refusal = guard === null ? refuseForeignPage({ host, origin }, isLoopback) : askForToken(request, guard);
    if (refusal === undefined) return done();
    letBodyPass(request, reply);
    sendAnswer(reply, refusal, undefined);
  });
  instance.setErrorHandler((error, request, reply) => {
    letBodyPass(request, reply);
    return sendAnswer(reply, answerForError(error, context), queryOf(request));
  });
  instance.setNotFoundHandler((request, reply) => notFound(request, reply));
  addRoutes(instance);
  return {
    instance,
    listen(address) {
      isLoopback = options.isLoopback ?? isLoopbackHost(address.host);
      return listen(instance, address);
    },
    close: (graceMs) => close(instance, context, graceMs),
  };
}

/** Without a token a browser on this machine would lend its reach to any page. No page knows a token. */
function refuseForeignPage(headers: PageHeaders, isLoopback: boolean): Answer | undefined {
  const reason = foreignPage(headers, isLoopback);
  return reason === undefined ? undefined : problem('invalid', reason, { status: 403 });
}

function askForToken(request: FastifyRequest, guard: ReturnType<typeof createBearerGuard>): Answer | undefined {
  // The route that was found, not the text of the address, which can be written in many ways.
  if (OPEN_PATHS.has(request.routeOptions.url ?? '')) return undefined;
  const { authorization } = request.headers;
  const reason = guard({ authorization, peer: request.socket.remoteAddress });
  if (reason === undefined) return undefined;
  const answer = problem('unauthorized', reason);
  return { ...answer, headers: { ...answer.headers, 'WWW-Authenticate': 'Bearer' } };
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** The whole of Dkron's address space that exists here, and ours. */
const ROUTES: readonly (readonly [Method, string, OperationName])[] = [
  ['GET', '/v1/jobs', 'list'],
  ['POST', '/v1/jobs', 'put'],
  ['PATCH', '/v1/jobs', 'put'],
  ['PUT', '/v1/jobs/:job', 'put'],
  ['GET', '/v1/jobs/:job', 'get'],
  ['DELETE', '/v1/jobs/:job', 'delete'],
  ['POST', '/v1/jobs/:job', 'run'],
  ['POST', '/v1/jobs/:job/run', 'run'],
  ['POST', '/v1/jobs/:job/toggle', 'toggle'],
  ['GET', '/v1/jobs/:job/executions', 'executions'],
  ['GET', '/v1/jobs/:job/executions/:id', 'execution'],
  ['GET', '/v1/jobs/:job/fires', 'fires'],
  ['GET', '/v1/jobs/:job/runs', 'runs'],
  ['GET', '/v1/jobs/:job/runs/:id', 'run-get'],
  ['GET', '/v1/busy', 'busy'],
  ['GET', '/v1/members', 'members'],
  ['GET', '/v1/cluster', 'cluster'],
  ['POST', '/v1/cluster/servers/:server', 'server-add'],
  ['POST', '/v1/cluster/servers/:server/promote', 'server-promote'],
  ['POST', '/v1/cluster/servers/:server/replace', 'server-replace'],
  ['DELETE', '/v1/cluster/servers/:server', 'server-remove'],
  ['POST', '/v1/cluster/transfer', 'transfer'],
  ['GET', '/v1/leader', 'leader'],
  ['GET', '/v1/isleader', 'isleader'],
  ['GET', '/health', 'health'],
];

function addOperations(instance: FastifyInstance, context: ApiContext): void {
  for (const [method, url, operation] of ROUTES) {
    instance.route({
      method,
      url,
      handler: async (request, reply) => {
        const params = request.params as { readonly job?: string; readonly server?: string; readonly id?: string };
        // The router lets an empty name through, which is the list with a superfluous slash.
        if (params.job === '' || params.server === '' || params.id === '') return notFound(request, reply);
        const query = queryOf(request);
        const key = request.headers['idempotency-key'];
        const answer = await perform(context, 'http', operation, {
          query,
          body: request.body instanceof Uint8Array ? request.body : NO_BYTES,
          name: params.job ?? params.server ?? '',
          id: params.id ?? '',
          requestId: Array.isArray(key) ? key[0] : key,
          caller: '',
        });
        return sendAnswer(reply, answer, query);
      },
    });
  }
}

function sendAnswer(reply: FastifyReply, answer: Answer, query: Query | undefined): FastifyReply {
  const isPretty = query !== undefined && isPresent(query, 'pretty');
  const write = answer.isPlain === true ? JSON.stringify : writeJson;
  const text = isPretty ? writePrettyJson(answer.body) : write(answer.body);
  reply.code(answer.status).headers(answer.headers);
  reply.header('Content-Type', answer.isProblem === true ? PROBLEM_TYPE : JSON_TYPE);
  return reply.send(text);
}

function takeAnyBody(instance: FastifyInstance): void {
  instance.removeAllContentTypeParsers();
  instance.addContentTypeParser('*', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'];
    if (encoding === undefined || encoding === 'identity') return done(null, body);
    const error = new CodedError('invalid', `Content-Encoding ${encoding.slice(0, 40)} is not read: send plain JSON`);
    return done(error);
  });
}

/**
 * Closing under a client that still sends would reset the connection, and the client would lose the answer that says
 * why. So what is left of the body is read and dropped, for no longer than a request may take to arrive.
 */
function letBodyPass(request: FastifyRequest, reply: FastifyReply): void {
  reply.removeHeader('connection');
  request.raw.resume();
}

/** A slash too many leads to the address without it, as in Dkron; everything else is 404, wrong methods too. */
function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const [path = '', search] = request.url.split(/\?(.*)/s, 2);
  const shorter = path.replace(/\/+$/, '');
  // Only known beginnings: `//host/` would lead elsewhere.
  if (shorter !== path && /^\/(v1|health|metrics|livez|readyz)(\/[^/]+)*$/.test(shorter)) {
    const status = request.method === 'GET' || request.method === 'HEAD' ? 301 : 307;
    return reply.redirect(search === undefined ? shorter : `${shorter}?${search}`, status);
  }
  const answer = problem('not-found', `${request.method} ${path.slice(0, 200)} is not an operation of this API`);
  return sendAnswer(reply, answer, queryOf(request));
}

function answerForError(error: unknown, context: ProbeContext): Answer {
  if (error instanceof CodedError) return problem(error.code, error.message, { faults: error.faults });
  const { statusCode, code, message } = error as { statusCode?: number; code?: string; message?: string };
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return problem('too-large', `the body has more than ${BODY_BYTES_MAX} bytes`);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return problem('invalid', message ?? 'the request cannot be read', { status: statusCode });
  }
  context.log.error('the HTTP door failed', {
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
  return problem('internal', 'something went wrong in the node; its log says what');
}

/** What is broken before there is a request: written by hand, then the connection ends. */
function clientErrorHandler(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, detail] = BROKEN.get(error.code ?? '') ?? [400, 'the request is not HTTP/1.1'];
  const text = writeJson(problem('invalid', detail, { status }).body);
  const head = `HTTP/1.1 ${status} ${status === 408 ? 'Request Timeout' : 'Bad Request'}`;
  const lines = [
    head,
    'Connection: close',
    `Content-Type: ${PROBLEM_TYPE}`,
    `Content-Length: ${Buffer.byteLength(text)}`,
  ];
  socket.end(`${lines.join('\r\n')}\r\n\r\n${text}`);
}

const BROKEN: ReadonlyMap<string, readonly [number, string]> = new Map([
  ['HPE_HEADER_OVERFLOW', [431, `the headers have more than ${maxHeaderSize} bytes`]],
  ['ERR_HTTP_REQUEST_TIMEOUT', [408, 'the request took too long to arrive']],
]);

async function listen(
  instance: FastifyInstance,
  address: { readonly host: string; readonly port: number },
): Promise<string> {
  try {
    return await instance.listen(address);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const place = `${address.host}:${address.port}`;
    switch (code) {
      case 'EADDRINUSE':
        throw new CodedError('address-in-use', `${place} is in use by another program: choose another --http-addr`, {
          cause,
        });
      case 'EACCES':
        throw new CodedError('settings', `this user may not listen on ${place}: choose a port above 1023`, { cause });
      case 'EADDRNOTAVAIL':
      case 'ENOTFOUND':
      case 'EAI_AGAIN':
        throw new CodedError('settings', `${place} is not an address of this machine: check --http-addr`, { cause });
      default:
        throw cause;
    }
  }
}

async function close(instance: FastifyInstance, context: ProbeContext, graceMs: number): Promise<void> {
  const timer = context.clock.after(graceMs, () => instance.server.closeAllConnections());
  try {
    await instance.close();
  } finally {
    timer.cancel();
  }
}

function queryOf(request: FastifyRequest): Query {
  return (request.query ?? {}) as Query;
}

const NO_BYTES = new Uint8Array(0);
const JSON_TYPE = 'application/json; charset=utf-8';
