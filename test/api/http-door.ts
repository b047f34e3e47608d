import type { ApiContext } from '../../src/api/call.ts';
import { createHttpDoor, type HttpDoor } from '../../src/api/fastify-http.ts';
import { FakeBackend, fakeContext } from './fake-backend.ts';

export interface Setup {
  readonly backend: FakeBackend;
  readonly context: ApiContext;
  readonly door: HttpDoor;
  /** Without a socket. A body that is no text is sent as JSON. */
  call(method: string, url: string, body?: unknown, headers?: Record<string, string>): Promise<Reply>;
}

export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  readonly json: unknown;
}

export function setup(changes: Partial<ApiContext> = {}): Setup {
  const backend = new FakeBackend();
  const context = fakeContext(backend, changes);
  const door = createHttpDoor({ context, nodeName: 'alpha', version: '0.1.0' });
  return {
    backend,
    context,
    door,
    async call(method, url, body, headers = {}) {
      const payload =
        body === undefined || typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
      const reply = await door.instance.inject({
        method: method as 'GET',
        url,
        headers,
        ...(payload === undefined ? {} : { payload }),
      });
      const isJson = String(reply.headers['content-type']).includes('json');
      return {
        status: reply.statusCode,
        headers: reply.headers,
        text: reply.body,
        json: isJson && reply.body !== '' ? JSON.parse(reply.body) : undefined,
      };
    },
  };
}

/** What lies at a path such as `errors.0.field`; undefined where nothing does. */
export function at(json: unknown, path: string): unknown {
  let value = json;
  for (const part of path.split('.')) {
    if (value === null || typeof value !== 'object') return undefined;
    value = (value as Record<string, unknown>)[part];
  }
  return value;
}
