/**
 * One keep-alive connection that carries one call at a time, over a bare socket. The load runs on the same two cores as
 * what it loads, so its cost counts; it reads no more of HTTP than a Carillon answers with: a status, a
 * `Content-Length`, a body.
 */
import { connect, type Socket } from 'node:net';

export interface HttpAnswer {
  readonly status: number;
  readonly body: Buffer;
}

export type Method = 'GET' | 'POST' | 'DELETE';

interface Waiting {
  readonly resolve: (answer: HttpAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class HttpConnection {
  readonly #socket: Socket;
  readonly #host: string;
  readonly #open: Promise<void>;
  #waiting: Waiting | null = null;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  /** Of head and body together, once the head has been read. */
  #wantedBytes = 0;
  #bodyAt = 0;
  #status = 0;
  #ended: Error | null = null;

  constructor(url: string) {
    const { hostname, port, host } = new URL(url);
    this.#host = host;
    this.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    this.#open = new Promise((resolve, reject) => {
      this.#socket.once('connect', resolve).once('error', reject);
    });
    // Told to whoever calls.
    this.#open.catch(() => {});
    this.#socket.on('data', (chunk) => this.#take(chunk));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error(`${this.#host} closed the connection`)));
  }

  async call(method: Method, path: string, body?: string): Promise<HttpAnswer> {
    await this.#open;
    if (this.#ended !== null) throw this.#ended;
    if (this.#waiting !== null) throw new Error('one call at a time');
    const content = body === undefined ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`;
    const length = body === undefined && method !== 'GET' ? 'Content-Length: 0\r\n' : content;
    this.#socket.write(`${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${length}\r\n${body ?? ''}`);
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    if (this.#wantedBytes === 0 && !this.#readHead()) return;
    if (this.#receivedBytes < this.#wantedBytes) return;
    const bytes = this.#joined();
    const answer = { status: this.#status, body: bytes.subarray(this.#bodyAt, this.#wantedBytes) };
    this.#received = [];
    this.#receivedBytes = 0;
    this.#wantedBytes = 0;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(answer);
  }

  /** Whether the head is complete. */
  #readHead(): boolean {
    const bytes = this.#joined();
    const headEnd = bytes.indexOf('\r\n\r\n');
    if (headEnd < 0) return false;
    const head = bytes.toString('latin1', 0, headEnd + 2);
    const length = /\r\ncontent-length: *([0-9]+)\r\n/i.exec(head)?.[1];
    if (length === undefined) {
      this.#end(new Error('an answer without Content-Length: this client does not read those'));
      return false;
    }
    this.#status = Number(head.slice(9, 12));
    this.#bodyAt = headEnd + 4;
    this.#wantedBytes = this.#bodyAt + Number(length);
    return true;
  }

  #joined(): Buffer {
    const [only] = this.#received;
    if (this.#received.length === 1 && only !== undefined) return only;
    const bytes = Buffer.concat(this.#received);
    this.#received = [bytes];
    return bytes;
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#socket.destroy();
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(this.#ended);
  }
}

/** A call whose answer must have the status; its body as JSON. */
export async function callJson(
  connection: HttpConnection,
  call: { readonly method: Method; readonly path: string; readonly body?: unknown; readonly status: number },
): Promise<unknown> {
  const { method, path, body, status } = call;
  const answer = await connection.call(method, path, body === undefined ? undefined : JSON.stringify(body));
  expectStatus(answer, status, `${method} ${path}`);
  return JSON.parse(answer.body.toString('utf8'));
}

export function expectStatus(answer: HttpAnswer, status: number, what: string): void {
  if (answer.status === status) return;
  throw new Error(`${what}: ${answer.status} instead of ${status}: ${answer.body.toString('utf8').slice(0, 300)}`);
}
