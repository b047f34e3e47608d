import type { ClientRequest, IncomingMessage } from 'node:http';
import { type HttpOptions, readHttpOptions } from '../jobs/http-options.ts';
import { faultsText } from '../jobs/option-reader.ts';
import { BODY_START_BYTES, matchesBody } from './body-pattern.ts';
import { BodyStart } from './body-start.ts';
import { failedEnding } from './endings.ts';
import type { Ending, Executor, Task } from './executor.ts';
import { type Ask, nextAsk } from './http-redirect.ts';
import { HttpAgents } from './system-http-agents.ts';
import { Tail } from './tail.ts';

/** Bytes of a response that are read; what comes behind is neither kept nor waited for. */
const BODY_BYTES_MAX = 16 * 1024 * 1024;
/** So long may the body of a redirect be for its connection to be worth keeping. */
const REDIRECT_BYTES_MAX = 2 * 1024;

/**
 * Makes one HTTP request per attempt, and those that redirects lead to, over connections that are used again. It runs
 * in the node's own process.
 */
export class HttpExecutor implements Executor {
  readonly #running = new Map<string, Exchange>();
  readonly #agents: HttpAgents;

  constructor(options: { readonly tlsAgentsMax?: number } = {}) {
    this.#agents = new HttpAgents(options.tlsAgentsMax);
  }

  start(task: Task, ended: (ending: Ending) => void): void {
    const read = readHttpOptions(task.config);
    if (read.type === 'faults') {
      return later(() => ended(failedEnding('bad configuration', faultsText('http', read.faults))));
    }
    const exchange = new Exchange(read.options, this.#agents, task.outputBytesMax, (ending) => {
      this.#running.delete(task.execution);
      ended(ending);
    });
    this.#running.set(task.execution, exchange);
    exchange.begin();
  }

  cancel(execution: string): void {
    this.#running.get(execution)?.cancel();
  }

  async close(): Promise<void> {
    for (const exchange of [...this.#running.values()]) exchange.cancel();
    this.#agents.close();
  }
}

/** One request, those that it is sent on to, and what comes back in the end; ends once, never from within `begin`. */
class Exchange {
  readonly #options: HttpOptions;
  readonly #agents: HttpAgents;
  readonly #tail: Tail;
  readonly #ended: (ending: Ending) => void;
  /** One for all requests: the time limit is that of the whole attempt. */
  readonly #deadline: AbortSignal;
  readonly #bodyStart = new BodyStart(BODY_START_BYTES);
  #bodyBytes = 0;
  #ask: Ask;
  #asks = 0;
  /** The one that counts; what is heard of an earlier one does not matter any more. */
  #request: ClientRequest | null = null;
  #release: () => void = () => {};
  #isCancelled = false;
  #isOver = false;

  constructor(options: HttpOptions, agents: HttpAgents, outputBytesMax: number, ended: (ending: Ending) => void) {
    this.#options = options;
    this.#agents = agents;
    this.#tail = new Tail(outputBytesMax);
    this.#ended = ended;
    this.#deadline = AbortSignal.timeout(options.timeoutMs);
    this.#ask = options;
  }

  begin(): void {
    this.#send(this.#ask);
  }

  cancel(): void {
    this.#isCancelled = true;
    this.#request?.destroy();
  }

  #send(ask: Ask): void {
    this.#ask = ask;
    this.#asks += 1;
    this.#release();
    this.#release = () => {};
    const { method, url, headers, body } = ask;
    if (this.#options.isDebug) {
      this.#say(`> ${method} ${url.href}\n${headers.map(([name]) => `> ${name}: …\n`).join('')}`);
    }
    let request: ClientRequest;
    try {
      const open = this.#agents.open(ask, this.#options.tls, this.#deadline);
      this.#release = open.release;
      request = open.request;
    } catch (error) {
      this.#request = null;
      this.#say(`http: ${messageOf(error)}\n`);
      return later(() => this.#fail('bad configuration'));
    }
    this.#request = request;
    request.on('response', (response) => this.#onResponse(request, response));
    request.on('error', (error) => this.#onBroken(request, error));
    request.on('close', () => this.#onBroken(request, new Error('the connection was closed')));
    request.end(body);
  }

  #onResponse(request: ClientRequest, response: IncomingMessage): void {
    response.on('error', (error) => this.#onBroken(request, error));
    const { statusCode: status = 0, statusMessage = '', headers } = response;
    if (this.#options.isDebug) {
      const rows = Object.entries(headers).map(([name, value]) => `< ${name}: ${String(value)}\n`);
      this.#say(`< ${status} ${statusMessage}\n${rows.join('')}`);
    }
    const next = nextAsk(this.#ask, this.#options.url, this.#asks, status, headers.location);
    if (next.type === 'answer') return this.#read(response, status);
    if (next.type === 'fault') {
      this.#say(`http: ${this.#ask.method} ${this.#ask.url.origin}: ${next.text}\n`);
      this.#fail('request failed');
      response.destroy();
      return;
    }
    if (Number(headers['content-length']) <= REDIRECT_BYTES_MAX) response.resume();
    else response.destroy();
    this.#send(next.ask);
  }

  #read(response: IncomingMessage, status: number): void {
    response.on('data', (bytes: Buffer) => {
      this.#tail.write(bytes);
      this.#bodyBytes += bytes.length;
      if (this.#options.bodyPattern !== null) this.#bodyStart.write(bytes);
      if (this.#bodyBytes > BODY_BYTES_MAX) {
        this.#say(`\nhttp: the response goes on behind ${BODY_BYTES_MAX} bytes; the rest was not read\n`);
        this.#judge(status);
        response.destroy();
      }
    });
    response.on('end', () => this.#judge(status));
  }

  #judge(status: number): void {
    const { codesExpected, bodyPattern } = this.#options;
    if (codesExpected.size > 0 && !codesExpected.has(status)) return this.#fail(`status ${status}`);
    if (bodyPattern !== null) {
      const match = matchesBody(bodyPattern, this.#bodyStart.text());
      if (match === 'too-slow') return this.#fail('expectBody takes too long');
      if (!match) return this.#fail('body does not match expectBody');
    }
    this.#end('succeeded', '');
  }

  #onBroken(request: ClientRequest, error: Error): void {
    if (this.#isOver || request !== this.#request) return;
    if (this.#isCancelled) return this.#end('cancelled', '');
    if (this.#deadline.aborted) return this.#end('timed-out', `time limit of ${this.#options.timeoutMs} ms`);
    this.#say(`http: ${this.#ask.method} ${this.#ask.url.origin}: ${messageOf(error)}\n`);
    this.#fail('request failed');
  }

  #fail(reason: string): void {
    this.#end('failed', reason);
  }

  #end(outcome: Ending['outcome'], reason: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#release();
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
