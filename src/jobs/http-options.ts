/** Dkron's options of the `http` executor. */
import { PATTERN, type Pattern, parsePattern } from './go-pattern.ts';
import { type ExecutorConfig, OptionReader, type OptionsRead, parseTruth, TRUTH } from './option-reader.ts';

export interface TlsOptions {
  readonly verifyPeer: boolean;
  readonly rootsFile: string;
  readonly certificateFile: string;
  readonly keyFile: string;
}

export type Headers = readonly (readonly [name: string, value: string])[];

export interface HttpOptions {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: string;
  readonly timeoutMs: number;
  /** Empty: every status is a success, as in Dkron. */
  readonly codesExpected: ReadonlySet<number>;
  /** Checked for being an expression, but run elsewhere: it may take for ever. */
  readonly bodyPattern: Pattern | null;
  readonly isDebug: boolean;
  readonly tls: TlsOptions;
}

const TIMEOUT_SECONDS = 30;
const TIMEOUT_SECONDS_MAX = 24 * 60 * 60;

export function readHttpOptions(config: ExecutorConfig): OptionsRead<HttpOptions> {
  const reader = new OptionReader('http', config);
  reader.needed('method');
  const method = reader.parsed('method', parseMethod, 'an HTTP method, such as GET') ?? '';
  reader.needed('url');
  const url = reader.parsed('url', parseUrl, 'an address that begins with http:// or https://') ?? NO_URL;
  const headers = reader.parsed('headers', parseHeaders, HEADERS) ?? [];
  const body = reader.text('body');
  const timeoutMs = reader.parsed('timeout', parseTimeout, TIMEOUT) ?? TIMEOUT_SECONDS * 1_000;
  const codesExpected = reader.parsed('expectCode', parseCodes, CODES) ?? new Set();
  const bodyPattern = readPattern(reader);
  // Any text, `false` too: what Dkron does.
  const isDebug = reader.text('debug') !== '';
  const tls = {
    verifyPeer: !(reader.parsed('tlsNoVerifyPeer', parseTruth, TRUTH) ?? false),
    rootsFile: reader.text('tlsRootCAsFile'),
    certificateFile: reader.text('tlsCertificateFile'),
    keyFile: reader.text('tlsCertificateKeyFile'),
  };
  return reader.result({ method, url, headers, body, timeoutMs, codesExpected, bodyPattern, isDebug, tls });
}

function parseMethod(text: string): string | undefined {
  return TOKEN.test(text) && text.length <= METHOD_CHARACTERS_MAX ? text.toUpperCase() : undefined;
}

function parseUrl(text: string): URL | undefined {
  return /^https?:\/\//i.test(text) && URL.canParse(text) ? new URL(text) : undefined;
}

/** `["Name: value"]`: cut at the first colon, so values may hold more of them. */
function parseHeaders(text: string): Headers | undefined {
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
    if (item === '') continue;
    const at = item.indexOf(':');
    const name = item.slice(0, Math.max(at, 0)).trim();
    const value = item.slice(at + 1).trim();
    if (!TOKEN.test(name) || !HEADER_VALUE.test(value)) return undefined;
    headers.push([name, value]);
  }
  return headers;
}

function parseTimeout(text: string): number | undefined {
  if (!/^[0-9]{1,5}(\.[0-9]{1,3})?$/.test(text)) return undefined;
  const timeoutMs = Math.round(Number(text) * 1_000);
  return timeoutMs > 0 && timeoutMs <= TIMEOUT_SECONDS_MAX * 1_000 ? timeoutMs : undefined;
}

function parseCodes(text: string): ReadonlySet<number> | undefined {
  const codes = new Set<number>();
  for (const part of text.split(',')) {
    if (!/^\s*[1-5][0-9]{2}\s*$/.test(part)) return undefined;
    codes.add(Number(part));
  }
  return codes;
}

function readPattern(reader: OptionReader): Pattern | null {
  const text = reader.text('expectBody');
  if (text === '') return null;
  const read = parsePattern(text);
  if (read.type === 'pattern') return read.pattern;
  reader.fault('expectBody', PATTERN, read.message);
  return null;
}

/** Stands in where there is a fault. */
const NO_URL = new URL('http://localhost/');
const TOKEN = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/;
const METHOD_CHARACTERS_MAX = 20;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const HEADERS = 'a JSON list of "Name: value", such as ["Accept: text/plain"]';
const TIMEOUT = `seconds, above 0 and at most ${TIMEOUT_SECONDS_MAX}`;
const CODES = 'status codes with commas between, such as 200,206';
