/**
 * Which settings there are: one row each, with its default for every command that takes it. Help, documents and checks
 * are made from these rows.
 */
import { LOG_LEVELS, type LogLevel } from './base/pino-log.ts';
import type { Zones } from './jobs/zone.ts';
import {
  duration,
  integer,
  oneOf,
  readAddress,
  readName,
  readNatsUrl,
  readReachableAddress,
  readTags,
  readText,
  readYesNo,
} from './settings-text.ts';

/** Commands that run a node. */
export type NodeCommand = 'dev' | 'server' | 'agent';

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
}

/** Of any node; what its command does not take has the default of another command. Files: '' for none given. */
export interface NodeSettings {
  readonly nodeName: string;
  readonly cluster: string;
  /** Null: no HTTP, which is for agents only. */
  readonly http: HttpAddress | null;
  /** Null: as HTTP listens. */
  readonly advertise: HttpAddress | null;
  /** '' for a temporary one, which is for `dev` only. */
  readonly dataDir: string;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
  /** How many fresh servers form a cluster, this one among them. Null: this one waits for a cluster to join. */
  readonly bootstrapExpect: number | null;
  /** One or several with commas; '' for none given, which is for `dev` only. May hold credentials: never logged. */
  readonly natsUrl: string;
  readonly natsCreds: string;
  /** '' for none. */
  readonly natsUser: string;
  readonly natsPasswordFile: string;
  readonly natsTlsCa: string;
  readonly natsTlsCert: string;
  readonly natsTlsKey: string;
  readonly clusterKeyFile: string;
  readonly apiTokenFile: string;
  /** An agent starts nothing unless it heard the leader within it; the same on all nodes. */
  readonly leaseMs: number;
  /** How much longer than the lease the leader waits before it says that a node is lost. */
  readonly leaseMarginMs: number;
  /** 0: never. */
  readonly removeGoneAfterMs: number;
  readonly threads: number;
  readonly functionsDir: string;
  readonly inheritEnv: boolean;
  readonly logLevel: LogLevel;
  readonly defaultZone: string;
  readonly defaultTargets: 'all' | number;
  readonly keepFiresMs: number;
  /** How long running work may go on after the first signal. */
  readonly drainMs: number;
  readonly insecureNoAuth: boolean;
  /** Names of those that a flag, a variable or the file gave. */
  readonly given: ReadonlySet<string>;
}

export interface SettingRow {
  readonly key: Exclude<keyof NodeSettings, 'given'>;
  readonly help: string;
  /** '' for a flag without a value. */
  readonly placeholder: string;
  /** What is taken where nothing is given, as it would be written, or one of the words below. '' for none. */
  readonly standards: Readonly<Partial<Record<NodeCommand, string>>>;
  readonly allowed: string;
  /** Undefined: not allowed. */
  readonly read: (text: string, zones: Zones) => unknown;
  /** What stands for none, where reading '' does not give it. */
  readonly none?: null;
}

/** Words in place of a default. */
export const REQUIRED = 'required';
export const PROCESSORS = '8 × processors';
export const HOST_NAME = 'the short host name';

/** By name, in the order of the help. */
export const SETTINGS = {
  'node-name': {
    key: 'nodeName',
    placeholder: 'NAME',
    standards: { dev: 'dev', server: HOST_NAME, agent: HOST_NAME },
    allowed: 'lower-case letters, digits, _ and -; at most 63',
    help: 'name of this node',
    read: readName,
  },
  cluster: {
    key: 'cluster',
    placeholder: 'NAME',
    standards: { dev: 'dev', server: 'carillon', agent: 'carillon' },
    allowed: 'lower-case letters, digits, _ and -; at most 63',
    help: 'name of the cluster',
    read: readName,
  },
  'http-addr': {
    key: 'http',
    placeholder: 'HOST:PORT',
    standards: { dev: '127.0.0.1:8080', server: '127.0.0.1:8080', agent: '' },
    allowed: 'host:port, port 0 for a free one; other hosts than loopback need --api-token-file or --insecure-no-auth',
    help: 'where HTTP listens; an agent shows only probes and metrics there',
    read: readAddress,
    none: null,
  },
  'advertise-addr': {
    key: 'advertise',
    placeholder: 'HOST:PORT',
    standards: everywhere(''),
    allowed: 'host:port, for a node with HTTP',
    help: 'where others reach its HTTP, as members show it; without it where it listens, by host name if on all addresses',
    read: readReachableAddress,
    none: null,
  },
  'data-dir': {
    key: 'dataDir',
    placeholder: 'DIR',
    standards: { dev: '', server: REQUIRED, agent: REQUIRED },
    allowed: 'a directory that can be made and written',
    help: 'where log, state and results lie; dev makes a temporary one without it',
    read: readText,
  },
  tag: {
    key: 'tags',
    placeholder: 'K=V',
    standards: everywhere(''),
    allowed: 'key=value, any number of times',
    help: 'tag of this node, repeatable',
    read: readTags,
  },
  slots: {
    key: 'slots',
    placeholder: 'N',
    standards: everywhere(PROCESSORS),
    allowed: '0 to 10000',
    help: 'executions at a time on this node; 0 keeps work off it',
    read: integer(0, 10_000),
  },
  'bootstrap-expect': {
    key: 'bootstrapExpect',
    placeholder: 'N',
    standards: { server: '' },
    allowed: '1 to 7',
    help: 'how many fresh servers form the cluster, this one among them; ignored once there is one',
    read: integer(1, 7),
    none: null,
  },
  'nats-url': {
    key: 'natsUrl',
    placeholder: 'URL',
    standards: { dev: '', server: REQUIRED, agent: REQUIRED },
    allowed: 'nats://host:port or tls://host:port, several with commas',
    help: 'where NATS is; dev starts a nats-server from the PATH without it',
    read: readNatsUrl,
  },
  'nats-creds': {
    key: 'natsCreds',
    placeholder: 'FILE',
    standards: everywhere(''),
    allowed: 'a credentials file',
    help: 'credentials for NATS',
    read: readText,
  },
  'nats-user': {
    key: 'natsUser',
    placeholder: 'NAME',
    standards: everywhere(''),
    allowed: 'a user of NATS, with --nats-password-file',
    help: 'user for NATS',
    read: readText,
  },
  'nats-password-file': {
    key: 'natsPasswordFile',
    placeholder: 'FILE',
    standards: everywhere(''),
    allowed: 'a file, with --nats-user',
    help: 'file that holds the password for NATS',
    read: readText,
  },
  'nats-tls-ca': {
    key: 'natsTlsCa',
    placeholder: 'FILE',
    standards: clustered(''),
    allowed: 'a PEM file',
    help: 'certificates that NATS is checked against, instead of those of the system',
    read: readText,
  },
  'nats-tls-cert': {
    key: 'natsTlsCert',
    placeholder: 'FILE',
    standards: clustered(''),
    allowed: 'a PEM file, with --nats-tls-key',
    help: 'certificate of this node for NATS',
    read: readText,
  },
  'nats-tls-key': {
    key: 'natsTlsKey',
    placeholder: 'FILE',
    standards: clustered(''),
    allowed: 'a PEM file, with --nats-tls-cert',
    help: 'key of that certificate',
    read: readText,
  },
  'cluster-key-file': {
    key: 'clusterKeyFile',
    placeholder: 'FILE',
    standards: clustered(''),
    allowed: 'a file of at least 16 bytes, the same on all nodes',
    help: 'file that holds the key by which nodes prove that they belong to the cluster',
    read: readText,
  },
  'api-token-file': {
    key: 'apiTokenFile',
    placeholder: 'FILE',
    standards: everywhere(''),
    allowed: 'a file of at least 16 visible ASCII characters',
    help: 'file that holds the token which clients need for HTTP',
    read: readText,
  },
  lease: {
    key: 'leaseMs',
    placeholder: 'DURATION',
    standards: clustered('5s'),
    allowed: 'a duration such as 5s, 2s to 10m, the same on all nodes',
    help: 'a node starts nothing unless it heard the leader within it',
    read: duration(2_000, 600_000),
  },
  'lease-margin': {
    key: 'leaseMarginMs',
    placeholder: 'DURATION',
    standards: { server: '2s' },
    allowed: 'a duration such as 2s, 500ms to 10m, the same on all servers',
    help: 'how much longer than the lease a silent node is waited for, before what runs there is lost',
    read: duration(500, 600_000),
  },
  'remove-gone-after': {
    key: 'removeGoneAfterMs',
    placeholder: 'DURATION',
    standards: { server: '0s' },
    allowed: '0s for never, or a duration such as 1h, 5s to 720h, the same on all servers',
    help: 'a server that is gone for so long is removed from the cluster, if at least 3 others vote and all are well',
    read: (text) => (duration(0, 0)(text) === 0 ? 0 : duration(5_000, 720 * 3_600_000)(text)),
  },
  threads: {
    key: 'threads',
    placeholder: 'N',
    standards: { dev: '2', server: '2' },
    allowed: '1 or 2',
    help: '1 keeps all actors on the main thread, for debugging',
    read: integer(1, 2),
  },
  'functions-dir': {
    key: 'functionsDir',
    placeholder: 'DIR',
    standards: everywhere(''),
    allowed: 'a directory',
    help: 'where modules of function jobs lie; without it there are none',
    read: readText,
  },
  'inherit-env': {
    key: 'inheritEnv',
    placeholder: '',
    standards: everywhere('false'),
    allowed: 'true or false',
    help: 'give shell and function jobs the whole environment of the node',
    read: readYesNo,
  },
  'log-level': {
    key: 'logLevel',
    placeholder: 'LEVEL',
    standards: everywhere('info'),
    allowed: LOG_LEVELS.join(', '),
    help: 'least level of log lines',
    read: oneOf(LOG_LEVELS),
  },
  'default-zone': {
    key: 'defaultZone',
    placeholder: 'ZONE',
    standards: { dev: 'UTC', server: 'UTC' },
    allowed: 'an IANA time zone',
    help: 'zone of jobs that name none; of a new cluster',
    read: (text, zones) => (zones.table(text) === undefined ? undefined : text),
  },
  'default-targets': {
    key: 'defaultTargets',
    placeholder: 'N',
    standards: { dev: 'all', server: 'all' },
    allowed: 'all, or 1 to 1000',
    help: 'nodes for a job that does not say; of a new cluster',
    read: (text) => (text === 'all' ? text : integer(1, 1_000)(text)),
  },
  'keep-fires': {
    key: 'keepFiresMs',
    placeholder: 'DURATION',
    standards: { dev: '9600h', server: '9600h' },
    allowed: 'a duration such as 9600h, at least 1h',
    help: 'how long outcomes of nominal times are kept; of a new cluster',
    read: duration(3_600_000, Number.MAX_SAFE_INTEGER),
  },
  'drain-timeout': {
    key: 'drainMs',
    placeholder: 'DURATION',
    standards: everywhere('10s'),
    allowed: 'a duration such as 10s, at most 3h',
    help: 'how long running work may go on after the first signal',
    read: duration(0, 10_800_000),
  },
  'insecure-no-auth': {
    key: 'insecureNoAuth',
    placeholder: '',
    standards: everywhere('false'),
    allowed: 'true or false',
    help: 'listen on, and use a NATS on, other addresses than loopback without token, credentials and cluster key',
    read: readYesNo,
  },
} as const satisfies Record<string, SettingRow>;

export type SettingName = keyof typeof SETTINGS;

export function variableOf(name: string): string {
  return `CARILLON_${name.toUpperCase().replaceAll('-', '_')}`;
}

/** The rows that a command takes, with its own default. */
export function settingsFor(node: NodeCommand): readonly (readonly [SettingName, SettingRow, string])[] {
  return (Object.entries(SETTINGS) as [SettingName, SettingRow][]).flatMap(([name, row]) => {
    const standard = row.standards[node];
    return standard === undefined ? [] : [[name, row, standard] as const];
  });
}

function everywhere(standard: string): SettingRow['standards'] {
  return { dev: standard, server: standard, agent: standard };
}

/** For the nodes of a cluster: `dev` is one of its own. */
function clustered(standard: string): SettingRow['standards'] {
  return { server: standard, agent: standard };
}
