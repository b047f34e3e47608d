/** Addresses and credentials of NATS as people write them. */
import { CodedError } from '../base/errors.ts';
import type { NatsDoor } from '../cluster/nats-door.ts';
import { shorten } from './json-text.ts';

/** `nats://[token@|user:pass@]host[:port]`, several with commas; `tls://` asks for TLS. Credentials: the first ones. */
export function parseNatsAddress(text: string): NatsDoor {
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
  const door = { servers, ...(isTls ? { tls: {} } : {}) };
  if (user === '') return door;
  return pass === '' ? { ...door, token: user } : { ...door, user, password: pass };
}
