/**
 * What is asked next when an answer says that the thing is elsewhere: as Go's client does, since Dkron's jobs count on
 * it. Pure.
 */
import type { Headers } from '../jobs/http-options.ts';

/** One request, of perhaps several of an attempt. */
export interface Ask {
  readonly method: string;
  readonly url: URL;
  readonly headers: Headers;
  readonly body: string;
}

export type Next =
  | { readonly type: 'ask'; readonly ask: Ask }
  /** This answer is the one that counts. */
  | { readonly type: 'answer' }
  | { readonly type: 'fault'; readonly text: string };

/** Requests of one attempt, the first among them. */
export const ASKS_MAX = 10;

/** `asks`: how many were made, this one among them. `first` is where the first of them went. */
export function nextAsk(ask: Ask, first: URL, asks: number, status: number, location: string | undefined): Next {
  if (!REDIRECTS.has(status) || location === undefined || location === '') return { type: 'answer' };
  if (asks >= ASKS_MAX) return { type: 'fault', text: `stopped after ${ASKS_MAX} requests, each sent on to another` };
  const url = URL.canParse(location, ask.url.href) ? new URL(location, ask.url) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    return {
      type: 'fault',
      text: `was sent on to ${JSON.stringify(location.slice(0, 200))}, which is no HTTP address`,
    };
  }
  const keepsBody = REDIRECTS_WITH_BODY.has(status);
  const method = keepsBody || ask.method === 'HEAD' ? ask.method : 'GET';
  // Headers are taken from the request before, so what was left out once stays out.
  const headers = ask.headers.filter(([header]) => {
    const name = header.toLowerCase();
    if (name === 'host') return url.host === ask.url.host;
    if (OF_BODY.has(name)) return keepsBody;
    return !SECRETS.has(name) || isWithin(url.hostname, first.hostname);
  });
  return { type: 'ask', ask: { method, url, headers, body: keepsBody ? ask.body : '' } };
}

/** The same host or one below it, whatever the port. */
function isWithin(host: string, parent: string): boolean {
  return host === parent || host.endsWith(`.${parent}`);
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const REDIRECTS_WITH_BODY: ReadonlySet<number> = new Set([307, 308]);
const SECRETS: ReadonlySet<string> = new Set([
  'authorization',
  'cookie',
  'cookie2',
  'proxy-authenticate',
  'proxy-authorization',
  'www-authenticate',
]);
const OF_BODY: ReadonlySet<string> = new Set([
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-type',
  'transfer-encoding',
]);
