import { isIP } from 'node:net';
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { type ConnectionOptions, credsAuthenticator } from 'nats';
import { RedialDelay } from './redial-delay.ts';

/** Where NATS is and how to get in: plain data, so that it can be handed to another thread. */
export interface NatsDoor {
  /** `host:port` of every server of the NATS cluster that is known; the client learns of the others. */
  readonly servers: readonly string[];
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  /** The content of a credentials file. */
  readonly creds?: Uint8Array;
  /** Present: no connection without TLS. PEM files, read at each dial, so that renewed ones are taken. */
  readonly tls?: {
    /** Who signed the server's certificate; absent: those that the machine trusts. */
    readonly caFile?: string;
    readonly certFile?: string;
    readonly keyFile?: string;
  };
}

/** Options of the client that keep one connection up for ever. `name` is what NATS shows for it. */
export function clientOptions(door: NatsDoor, name: string): ConnectionOptions {
  const { servers, user, password, token, creds, tls } = door;
  const redial = new RedialDelay();
  return {
    servers: [...servers],
    name,
    timeout: DIAL_MS,
    pingInterval: PING_MS,
    maxPingOut: PINGS_OUT_MAX,
    // Wrong credentials may become right: an operator mends them while the node waits.
    ignoreAuthErrorAbort: true,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: () => redial.next(Date.now(), performance.now()),
    ...(user === undefined ? {} : { user, pass: password ?? '' }),
    ...(token === undefined ? {} : { token }),
    ...(creds === undefined ? {} : { authenticator: credsAuthenticator(creds) }),
    ...(tls === undefined ? {} : { tls: tlsOptions(tls, servers) }),
  };
}

/**
 * The client names a server that is dialled by address to nobody, and Node then takes it for `localhost`. So where
 * addresses are given, a certificate for one of them is right.
 */
function tlsOptions(
  tls: NonNullable<NatsDoor['tls']>,
  servers: readonly string[],
): NonNullable<ConnectionOptions['tls']> {
  const addresses = servers.map((server) => server.replace(/:\d+$/, '').replace(/^\[|\]$/g, ''));
  const candidates = addresses.filter((address) => isIP(address) !== 0);
  const check = (host: string, certificate: PeerCertificate): Error | undefined => {
    const error = checkServerIdentity(host, certificate);
    if (error === undefined || host !== 'localhost') return error;
    return candidates.some((address) => checkServerIdentity(address, certificate) === undefined) ? undefined : error;
  };
  // It hands its options on to Node, though its types know only some of them.
  return { ...tls, ...{ checkServerIdentity: check } };
}

const DIAL_MS = 3_000;
/** A server that stands still is given up at the third ping that finds two unanswered: after 3 s. */
const PING_MS = 1_000;
const PINGS_OUT_MAX = 2;
