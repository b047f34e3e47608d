import type { Json } from '../jobs/job.ts';
import type { Task } from './executor.ts';

export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  readonly timeoutMs: number;
  /** Empty: every status is a success, as in Dkron. */
  readonly codesExpected: ReadonlySet<number>;
  /** '' for none. Checked for being an expression, but run elsewhere: it may take for ever. */
  readonly bodyPattern: string;
  readonly isDebug: boolean;
  readonly tls: {
    readonly verifyPeer: boolean;
    readonly rootsFile: string;
    readonly certificateFile: string;
    readonly keyFile: string;
  };
}

export type HttpConfig =
  | { readonly type: 'request'; readonly request: HttpRequest }
  | { readonly type: 'fault'; readonly text: string };

const TIMEOUT_SECONDS = 30;
const TIMEOUT_SECONDS_MAX = 24 * 60 * 60;
const PATTERN_CHARACTERS_MAX = 1_000;

/** Reads Dkron's options of the `http` executor. */
export function readHttpConfig(task: Task): HttpConfig {
  const { config } = task;
  const method = textOf(config['method']).trim().toUpperCase();
  if (!TOKEN.test(method)) return fault(`http: method ${quoted(config['method'])}: use GET, POST, …`);
  const url = readUrl(textOf(config['url']).trim());
  if (url === undefined) return fault(`http: url ${quoted(config['url'])}: use http://… or https://…`);
  const headers = readHeaders(textOf(config['headers']));
  if (headers === undefined) {
    return fault(`http: headers ${quoted(config['headers'])}: use a JSON array such as ["Accept: text/plain"]`);
  }
  const timeoutSeconds = textOf(config['timeout']).trim() === '' ? TIMEOUT_SECONDS : Number(textOf(config['timeout']));
  if (!(timeoutSeconds > 0 && timeoutSeconds <= TIMEOUT_SECONDS_MAX)) {
    return fault(`http: timeout ${quoted(config['timeout'])}: use seconds, above 0 and at most ${TIMEOUT_SECONDS_MAX}`);
  }
  const codesExpected = readCodes(textOf(config['expectCode']));
  if (codesExpected === undefined) return fault(`http: expectCode ${quoted(config['expectCode'])}: use 200,206`);
  const bodyPattern = textOf(config['expectBody']);
  if (!isPattern(bodyPattern)) {
    return fault(
      `http: expectBody ${quoted(config['expectBody'])}: use a regular expression of at most ${PATTERN_CHARACTERS_MAX} characters`,
    );
  }
  return {
    type: 'request',
    request: {
      method,
      url,
      headers,
      body: textOf(config['body']),
      timeoutMs: timeoutSeconds * 1_000,
      codesExpected,
      bodyPattern,
      isDebug: isTrue(config['debug']),
      tls: {
        verifyPeer: !isTrue(config['tlsNoVerifyPeer']),
        rootsFile: textOf(config['tlsRootCAsFile']),
        certificateFile: textOf(config['tlsCertificateFile']),
        keyFile: textOf(config['tlsCertificateKeyFile']),
      },
    },
  };
}

/** `["Name: value"]`: cut at the first colon, so values may hold more of them. */
function readHeaders(text: string): readonly (readonly [string, string])[] | undefined {
  if (text.trim() === '') return [];
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(list)) return undefined;
  const headers: [string, string][] = [];
  for (const item of list as readonly unknown[]) {
    if (typeof item !== 'string') return undefined;
    const at = item.indexOf(':');
    const name = item.slice(0, Math.max(at, 0)).trim();
    const value = item.slice(at + 1).trim();
    if (!TOKEN.test(name) || !HEADER_VALUE.test(value)) return undefined;
    headers.push([name, value]);
  }
  return headers;
}

function readCodes(text: string): ReadonlySet<number> | undefined {
  const codes = new Set<number>();
  if (text.trim() === '') return codes;
  for (const part of text.split(',')) {
    if (!/^\s*[1-5][0-9]{2}\s*$/.test(part)) return undefined;
    codes.add(Number(part));
  }
  return codes;
}

function readUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url : undefined;
}

function isPattern(text: string): boolean {
  if (text.length > PATTERN_CHARACTERS_MAX) return false;
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : value === undefined || value === null ? '' : JSON.stringify(value);
}

function isTrue(value: Json | undefined): boolean {
  return value === true || value === 'true' || value === '1';
}

function quoted(value: Json | undefined): string {
  return JSON.stringify(value ?? '');
}

function fault(text: string): HttpConfig {
  return { type: 'fault', text };
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
