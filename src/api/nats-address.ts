/** Addresses and credentials of NATS as people write them, as options of its client. */
import { CodedError } from '../base/errors.ts';
import { shorten } from './json-text.ts';

export interface NatsAddress {
  /** Without credentials, so that they may be logged. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  readonly isTls: boolean;
}

/** `nats://[token@|user:pass@]host[:port]`, several with commas; `tls://` asks for TLS. Credentials: the first ones. */
export function parseNatsAddress(text: string): NatsAddress {
  const servers: string[] = [];
  let user = '';
  let pass = '';
  let isTls = false;
  for (const part of text.split(',')) {
    const url = URL.canParse(part.trim()) ? new URL(part.trim()) : undefined;
    if (url === undefined || (url.protocol !== 'nats:' && url.protocol !== 'tls:') || url.hostname === '') {
      throw new CodedError('invalid', `'${shorten(part, 100)}' is not an address of NATS: write nats://host:4222`);
    }
    if (url.protocol === 'tls:') isTls = true;
    if (user === '' && url.username !== '') {
      user = decodeURIComponent(url.username);
      pass = decodeURIComponent(url.password);
    }
    servers.push(`${url.hostname}:${url.port === '' ? '4222' : url.port}`);
  }
  if (user === '') return { servers, isTls };
  return pass === '' ? { servers, isTls, token: user } : { servers, isTls, user, pass };
}
