import { readFileSync } from 'node:fs';
import { type ClientRequest, Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import type { Headers, TlsOptions } from '../jobs/http-options.ts';
import type { Ask } from './http-redirect.ts';
import { LeasedCache } from './leased-cache.ts';

/** Connections that may stay open to one host. */
const IDLE_SOCKETS_MAX = 16;
/** TLS options that differ, each with an agent of its own. */
const TLS_AGENTS_MAX = 64;

export interface OpenRequest {
  readonly request: ClientRequest;
  /** Once nothing of it runs any more. */
  readonly release: () => void;
}

/** Requests over connections that are used again. */
export class HttpAgents {
  readonly #plain = new HttpAgent({ keepAlive: true, maxFreeSockets: IDLE_SOCKETS_MAX });
  readonly #tls: LeasedCache<HttpsAgent>;

  constructor(tlsAgentsMax = TLS_AGENTS_MAX) {
    this.#tls = new LeasedCache({ countMax: tlsAgentsMax, drop: (agent) => agent.destroy() });
  }

  /** Throws where a file of the TLS options cannot be read, or a header cannot be sent. */
  open(ask: Ask, tls: TlsOptions, signal: AbortSignal): OpenRequest {
    const { method, url } = ask;
    const headers = headerMap(ask.headers);
    if (ask.body !== '') headers['content-length'] ??= String(Buffer.byteLength(ask.body));
    if (url.protocol === 'http:') {
      return { request: httpRequest(url, { method, headers, signal, agent: this.#plain }), release: () => {} };
    }
    const { value: agent, release } = this.#tls.lease(JSON.stringify(tls), () => tlsAgent(tls));
    try {
      return { request: httpsRequest(url, { method, headers, signal, agent }), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  close(): void {
    this.#plain.destroy();
    this.#tls.clear();
  }
}

function tlsAgent(tls: TlsOptions): HttpsAgent {
  return new HttpsAgent({
    keepAlive: true,
    maxFreeSockets: IDLE_SOCKETS_MAX,
    rejectUnauthorized: tls.verifyPeer,
    ...(tls.rootsFile === '' ? {} : { ca: readFileSync(tls.rootsFile) }),
    ...(tls.certificateFile === '' ? {} : { cert: readFileSync(tls.certificateFile) }),
    ...(tls.keyFile === '' ? {} : { key: readFileSync(tls.keyFile) }),
  });
}

function headerMap(headers: Headers): Record<string, string | string[]> {
  const map = Object.create(null) as Record<string, string | string[]>;
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const before = map[key];
    map[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
  }
  return map;
}
