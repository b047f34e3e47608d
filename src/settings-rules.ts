/**
 * What settings must not be together. Closed by default, at every door (DESIGN.md 2, P8): what others than this machine
 * can reach wants a proof from whoever comes, unless the operator says explicitly that it need not.
 */
import { isLoopbackHost } from './api/foreign-pages.ts';
import { parseNatsAddress } from './api/nats-address.ts';
import type { Fault } from './base/errors.ts';
import type { NatsDoor } from './cluster/nats-door.ts';
import type { NodeCommand, NodeSettings } from './settings-table.ts';

/** Settings that could not be read are absent, and break no rule. */
export function brokenRules(node: NodeCommand, settings: Partial<NodeSettings>): Fault[] {
  return [...openHttp(settings), ...unheard(settings), ...openNats(node, settings), ...incompletePairs(settings)];
}

function openHttp({ http, apiTokenFile, insecureNoAuth }: Partial<NodeSettings>): Fault[] {
  if (http === undefined || http === null || isLoopbackHost(http.host)) return [];
  if (insecureNoAuth === true || apiTokenFile !== '') return [];
  const message = 'is not loopback: give --api-token-file, or say --insecure-no-auth to let everybody in';
  return [{ field: 'http-addr', value: `${http.host}:${http.port}`, allowed: '127.0.0.1, ::1 or localhost', message }];
}

/** An agent tells no address unless it answers there. */
function unheard({ http, advertise }: Partial<NodeSettings>): Fault[] {
  if (http !== null || advertise === undefined || advertise === null) return [];
  const message = 'must be given, since advertise-addr is';
  return [{ field: 'http-addr', value: undefined, allowed: '--http-addr and --advertise-addr, or neither', message }];
}

function openNats(node: NodeCommand, settings: Partial<NodeSettings>): Fault[] {
  const { natsUrl, natsCreds, natsUser, natsTlsCert, clusterKeyFile, insecureNoAuth } = settings;
  if (natsUrl === undefined || natsUrl === '') return [];
  const faults: Fault[] = [];
  const address = parseNatsAddress(natsUrl);
  const hasOwn = address.token !== undefined || address.user !== undefined;
  const kinds = [hasOwn, natsCreds !== '', natsUser !== ''].filter(Boolean).length;
  if (kinds > 1) {
    const message = 'are given more than once: it cannot be told which ones count';
    const allowed = 'one of a user or token in --nats-url, --nats-creds, --nats-user with --nats-password-file';
    faults.push({ field: 'credentials for NATS', value: undefined, allowed, message });
  }
  const remote = remoteServer(address);
  if (remote === undefined || insecureNoAuth === true) return faults;
  if (kinds === 0 && natsTlsCert === '') {
    const message = 'is not loopback, and whoever reaches it could run jobs here: give credentials';
    const certificate = node === 'dev' ? '' : ', --nats-tls-cert with --nats-tls-key';
    const allowed =
      'a user or token in --nats-url, --nats-creds, --nats-user with --nats-password-file' +
      `${certificate}, or --insecure-no-auth`;
    faults.push({ field: 'nats-url', value: remote, allowed, message });
  }
  if (node !== 'dev' && clusterKeyFile === '') {
    const message = `must be given, since NATS at ${remote} is not loopback and whoever reaches it could pose as a node`;
    const allowed = 'a file of at least 16 bytes, the same on all nodes, or --insecure-no-auth';
    faults.push({ field: 'cluster-key-file', value: undefined, allowed, message });
  }
  return faults;
}

function remoteServer({ servers }: NatsDoor): string | undefined {
  return servers.find((server) => !isLoopbackHost(server.replace(/:[0-9]+$/, '')));
}

const PAIRS = [
  ['nats-user', 'natsUser', 'nats-password-file', 'natsPasswordFile'],
  ['nats-tls-cert', 'natsTlsCert', 'nats-tls-key', 'natsTlsKey'],
] as const;

function incompletePairs(settings: Partial<NodeSettings>): Fault[] {
  return PAIRS.flatMap(([left, leftKey, right, rightKey]) => {
    const [hasLeft, hasRight] = [settings[leftKey] !== '', settings[rightKey] !== ''];
    if (hasLeft === hasRight || settings[leftKey] === undefined || settings[rightKey] === undefined) return [];
    const [given, missing] = hasLeft ? [left, right] : [right, left];
    const allowed = `--${left} and --${right} together, or neither`;
    return [{ field: missing, value: undefined, allowed, message: `must be given, since ${given} is` }];
  });
}
