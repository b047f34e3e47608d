import { readFileSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { matchesBody } from './body-pattern.ts';
import { failedEnding } from './endings.ts';
import type { Ending, Executor, Task } from './executor.ts';
import type { HttpRequest } from './http-config.ts';
import { readHttpConfig } from './http-config.ts';
import { Tail } from './tail.ts';

/** Connections that may stay open to one host. */
const IDLE_SOCKETS_MAX = 16;
/** Agents for TLS options that differ; above it the oldest is closed. */
const TLS_AGENTS_MAX = 64;
/** Bytes of a response that are read; what comes behind is neither kept nor waited for. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;

interface Running {
  readonly request: ClientRequest;
  /** Aborts the request at its time limit. */
  readonly deadline: AbortSignal;
  isCancelled: boolean;
}

/** Makes one HTTP request per attempt, over connections that are used again. It runs in the node's own process. */
export class HttpExecutor implements Executor {
  readonly #running = new Map<string, Running>();
  readonly #plainAgent = new HttpAgent({ keepAlive: true, maxFreeSockets: IDLE_SOCKETS_MAX });
  readonly #tlsAgents = new Map<string, HttpsAgent>();

  start(task: Task, ended: (ending: Ending) => void): void {
    const config = readHttpConfig(task);
    if (config.type === 'fault') return later(() => ended(failedEnding('bad configuration', config.text)));
    const deadline = AbortSignal.timeout(config.request.timeoutMs);
    let request: ClientRequest;
    try {
      request = this.#open(config.request, deadline);
    } catch (error) {
      return later(() => ended(failedEnding('bad configuration', `http: ${messageOf(error)}`)));
    }
    const running: Running = { request, deadline, isCancelled: false };
    this.#running.set(task.execution, running);
    const exchange = new Exchange(config.request, running, task.outputBytesMax, (ending) => {
      this.#running.delete(task.execution);
      ended(ending);
    });
    exchange.begin();
  }

  cancel(execution: string): void {
    const running = this.#running.get(execution);
    if (running === undefined) return;
    running.isCancelled = true;
    running.request.destroy();
  }

  async close(): Promise<void> {
    for (const execution of [...this.#running.keys()]) this.cancel(execution);
    this.#plainAgent.destroy();
    for (const agent of this.#tlsAgents.values()) agent.destroy();
  }

  #open({ method, url, headers, body, tls }: HttpRequest, signal: AbortSignal): ClientRequest {
    const headerMap: Record<string, string | string[]> = {};
    for (const [name, value] of headers) {
      const key = name.toLowerCase();
      const before = headerMap[key];
      headerMap[key] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value];
    }
    if (body !== '') headerMap['content-length'] ??= String(Buffer.byteLength(body));
    return url.protocol === 'https:'
      ? httpsRequest(url, { method, headers: headerMap, signal, agent: this.#tlsAgent(tls) })
      : httpRequest(url, { method, headers: headerMap, signal, agent: this.#plainAgent });
  }

  #tlsAgent(tls: HttpRequest['tls']): HttpsAgent {
    const key = JSON.stringify(tls);
    const known = this.#tlsAgents.get(key);
    if (known !== undefined) return known;
    const agent = new HttpsAgent({
      keepAlive: true,
      maxFreeSockets: IDLE_SOCKETS_MAX,
      rejectUnauthorized: tls.verifyPeer,
      ...(tls.rootsFile === '' ? {} : { ca: readFileSync(tls.rootsFile) }),
      ...(tls.certificateFile === '' ? {} : { cert: readFileSync(tls.certificateFile) }),
      ...(tls.keyFile === '' ? {} : { key: readFileSync(tls.keyFile) }),
    });
    this.#tlsAgents.set(key, agent);
    const [oldestKey] = this.#tlsAgents.keys();
    if (this.#tlsAgents.size > TLS_AGENTS_MAX && oldestKey !== undefined) {
      this.#tlsAgents.get(oldestKey)?.destroy();
      this.#tlsAgents.delete(oldestKey);
    }
    return agent;
  }
}

/** One request and what comes back; ends once. */
class Exchange {
  readonly #config: HttpRequest;
  readonly #running: Running;
  readonly #tail: Tail;
  readonly #ended: (ending: Ending) => void;
  /** The start of the body, for the expression. */
  #body: Buffer[] = [];
  #bodyBytes = 0;
  #isOver = false;

  constructor(config: HttpRequest, running: Running, outputBytesMax: number, ended: (ending: Ending) => void) {
    this.#config = config;
    this.#running = running;
    this.#tail = new Tail(outputBytesMax);
    this.#ended = ended;
  }

  begin(): void {
    const { request } = this.#running;
    const { method, url, headers, isDebug } = this.#config;
    if (isDebug) this.#say(`> ${method} ${url.href}\n${headers.map(([name]) => `> ${name}: …\n`).join('')}`);
    request.on('response', (response) => this.#onResponse(response));
    request.on('error', (error) => this.#onBroken(error));
    request.on('close', () => this.#onBroken(new Error('the connection was closed')));
    request.end(this.#config.body);
  }

  #onResponse(response: IncomingMessage): void {
    if (this.#config.isDebug) {
      const rows = Object.entries(response.headers).map(([name, value]) => `< ${name}: ${String(value)}\n`);
      this.#say(`< ${response.statusCode} ${response.statusMessage}\n${rows.join('')}`);
    }
    response.on('data', (bytes: Buffer) => {
      this.#tail.write(bytes);
      this.#bodyBytes += bytes.length;
      if (this.#config.bodyPattern !== '' && this.#bodyBytes <= BODY_BYTES_MAX) this.#body.push(bytes);
      if (this.#bodyBytes > BODY_BYTES_MAX) {
        this.#say(`\nhttp: the response goes on behind ${BODY_BYTES_MAX} bytes; the rest was not read\n`);
        this.#judge(response.statusCode ?? 0);
        response.destroy();
      }
    });
    response.on('error', (error) => this.#onBroken(error));
    response.on('end', () => this.#judge(response.statusCode ?? 0));
  }

  #judge(status: number): void {
    const { codesExpected, bodyPattern } = this.#config;
    if (codesExpected.size > 0 && !codesExpected.has(status)) return this.#fail(`status ${status}`);
    if (bodyPattern !== '') {
      const match = matchesBody(bodyPattern, Buffer.concat(this.#body).toString('utf8'));
      if (match === 'too-slow') return this.#fail('expectBody takes too long');
      if (!match) return this.#fail('body does not match expectBody');
    }
    this.#end('succeeded', '');
  }

  #onBroken(error: Error): void {
    if (this.#isOver) return;
    if (this.#running.isCancelled) return this.#end('cancelled', '');
    if (this.#running.deadline.aborted) return this.#end('timed-out', `time limit of ${this.#config.timeoutMs} ms`);
    this.#say(`http: ${this.#config.method} ${this.#config.url.origin}: ${messageOf(error)}\n`);
    this.#fail('request failed');
  }

  #fail(reason: string): void {
    this.#end('failed', reason);
  }

  #end(outcome: Ending['outcome'], reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#body = [];
    this.#ended({
      outcome,
      reason,
      exitCode: null,
      signal: null,
      result: null,
      output: this.#tail.read(),
      outputBytes: this.#tail.totalBytes,
    });
  }

  #say(text: string): void {
    this.#tail.write(Buffer.from(text, 'utf8'));
  }
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error instanceof Error ? error.message : String(error);
}

/** Never from within `start`. */
function later(run: () => void): void {
  queueMicrotask(run);
}
