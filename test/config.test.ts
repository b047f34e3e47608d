import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '../src/base/errors.ts';
import { type Given, readSettings } from '../src/config.ts';
import { createIntlZones } from '../src/jobs/intl-zones.ts';
import type { NodeCommand, NodeSettings } from '../src/settings-table.ts';

const ZONES = createIntlZones();
const ENOUGH = { 'nats-url': 'nats://127.0.0.1:4222', 'data-dir': 'data', 'node-name': 'n1' };
const REMOTE = { ...ENOUGH, 'nats-url': 'nats://nats.example:4222' };

function settingsOf(node: NodeCommand, given: Partial<Given>): NodeSettings {
  return readSettings(
    node,
    { flags: {}, environment: {}, file: undefined, hostName: 'host7.example', ...given },
    ZONES,
  );
}

/** The lines of a refusal. */
function refusal(node: NodeCommand, given: Partial<Given>): string[] {
  try {
    settingsOf(node, given);
  } catch (error) {
    assert.ok(error instanceof CodedError && error.code === 'settings', String(error));
    assert.equal(error.faults.length, error.message.split('\n').length);
    return error.message.split('\n');
  }
  return [];
}

test('dev needs nothing, and is a node of its own', () => {
  const { nodeName, cluster, http, dataDir, natsUrl, bootstrapExpect } = settingsOf('dev', {});

  assert.deepEqual([nodeName, cluster, dataDir, natsUrl, bootstrapExpect], ['dev', 'dev', '', '', null]);
  assert.deepEqual(http, { host: '127.0.0.1', port: 8080 });
});

test('a server and an agent must say where their data and NATS are; all that is missing is told at once', () => {
  for (const node of ['server', 'agent'] as const) {
    const [data, nats, ...others] = refusal(node, {});

    assert.match(data ?? '', /^data-dir: must be given, by --data-dir or CARILLON_DATA_DIR; allowed: /);
    assert.match(nats ?? '', /^nats-url: must be given, by --nats-url or CARILLON_NATS_URL; allowed: nats:/);
    assert.deepEqual(others, []);
  }
});

test('a required setting that is given empty is missing', () => {
  const lines = refusal('agent', { flags: ENOUGH, environment: {}, file: undefined });
  const empty = refusal('agent', { flags: { ...ENOUGH, 'data-dir': '' } });

  assert.deepEqual(lines, []);
  assert.match(empty.join('\n'), /^data-dir: must be given/);
});

test('a server is named after its host, answers HTTP on loopback and has the lease of the contract', () => {
  const { 'node-name': _, ...flags } = ENOUGH;

  const settings = settingsOf('server', { flags });

  assert.deepEqual([settings.nodeName, settings.cluster], ['host7', 'carillon']);
  assert.deepEqual(settings.http, { host: '127.0.0.1', port: 8080 });
  assert.deepEqual([settings.leaseMs, settings.leaseMarginMs], [5_000, 2_000]);
  assert.equal(settings.bootstrapExpect, null);
});

test('an agent has no HTTP unless it is asked for', () => {
  const silent = settingsOf('agent', { flags: ENOUGH });
  const open = settingsOf('agent', { flags: { ...ENOUGH, 'http-addr': '[::1]:9000' } });

  assert.equal(silent.http, null);
  assert.deepEqual(open.http, { host: '::1', port: 9_000 });
});

test('a host whose name is no name of a node needs another one', () => {
  const { 'node-name': _, ...flags } = ENOUGH;

  const upper = settingsOf('agent', { flags, hostName: 'Web-1.Example' });
  const lines = refusal('agent', { flags, hostName: 'größe' });

  assert.equal(upper.nodeName, 'web-1');
  assert.match(
    lines.join('\n'),
    /^node-name: "größe" is the name of this host and not allowed: give another, by --node/,
  );
});

test('a flag wins over a variable, that over the file', () => {
  const file = { slots: 1, cluster: 'c-file', tag: { zone: 'a' } };
  const environment = { CARILLON_SLOTS: '2', CARILLON_CLUSTER: 'c-variable' };

  const settings = settingsOf('agent', { flags: { ...ENOUGH, slots: '3' }, environment, file });

  assert.deepEqual([settings.slots, settings.cluster, settings.tags], [3, 'c-variable', { zone: 'a' }]);
  assert.deepEqual([...settings.given].sort(), ['cluster', 'data-dir', 'nats-url', 'node-name', 'slots', 'tag']);
});

test('a key of another command in the file is refused as one that nobody knows; a variable of one is not looked at', () => {
  const file = { 'bootstrap-expect': 3, colour: 'red' };
  const environment = { CARILLON_BOOTSTRAP_EXPECT: '3' };

  const lines = refusal('agent', { flags: ENOUGH, file });
  const settings = settingsOf('agent', { flags: ENOUGH, environment });

  assert.match(lines[0] ?? '', /^bootstrap-expect: 3 is no setting of agent; allowed: node-name, /);
  assert.match(lines[1] ?? '', /^colour: "red" is no setting; allowed: /);
  assert.equal(settings.bootstrapExpect, null);
});

for (const [name, text, key, value] of [
  ['bootstrap-expect', '1', 'bootstrapExpect', 1],
  ['bootstrap-expect', '7', 'bootstrapExpect', 7],
  ['bootstrap-expect', '8', 'bootstrapExpect', undefined],
  ['bootstrap-expect', '0', 'bootstrapExpect', undefined],
  ['lease', '2s', 'leaseMs', 2_000],
  ['lease', '1.9s', 'leaseMs', undefined],
  ['lease', '11m', 'leaseMs', undefined],
  ['lease-margin', '500ms', 'leaseMarginMs', 500],
  ['lease-margin', '-1s', 'leaseMarginMs', undefined],
  ['nats-url', 'nats://localhost,tls://127.0.0.1:4223', 'natsUrl', 'nats://localhost,tls://127.0.0.1:4223'],
  ['nats-url', 'nats://localhost,', 'natsUrl', undefined],
  ['nats-url', 'http://localhost', 'natsUrl', undefined],
  ['http-addr', 'localhost:65536', 'http', undefined],
  ['http-addr', '', 'http', undefined],
  ['advertise-addr', 'web-1:80', 'advertise', { host: 'web-1', port: 80 }],
  ['advertise-addr', 'web-1:0', 'advertise', undefined],
  ['advertise-addr', 'web-1', 'advertise', undefined],
  ['slots', '0', 'slots', 0],
  ['slots', '', 'slots', undefined],
  ['threads', '3', 'threads', undefined],
  ['drain-timeout', '0s', 'drainMs', 0],
  ['inherit-env', 'yes', 'inheritEnv', undefined],
  ['default-targets', '1000', 'defaultTargets', 1_000],
  ['keep-fires', '59m', 'keepFiresMs', undefined],
] as const) {
  test(`--${name} '${text}' of a server is ${value === undefined ? 'refused' : 'read'}`, () => {
    const flags = { ...ENOUGH, [name]: text };

    if (value === undefined) {
      const lines = refusal('server', { flags });

      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? '', new RegExp(`^${name}: "${text}" is not allowed; allowed: `));
    } else assert.deepEqual(settingsOf('server', { flags })[key], value);
  });
}

test('addresses of NATS may be a list in the settings file', () => {
  const { 'nats-url': _, ...flags } = ENOUGH;

  const settings = settingsOf('agent', { flags, file: { 'nats-url': ['nats://127.0.0.1:1', 'nats://127.0.0.1:2'] } });

  assert.equal(settings.natsUrl, 'nats://127.0.0.1:1,nats://127.0.0.1:2');
});

test('a refused address shows no password', () => {
  const urls = ['nats://me:hunter2@host:port', 'http://me:hunter2@host', 'nats://a,http://me:hun,ter/2@host'];

  for (const url of urls) {
    const lines = [
      ...refusal('server', { flags: { ...ENOUGH, 'nats-url': url } }),
      ...refusal('server', { flags: ENOUGH, file: { 'nats-urls': [url] } }),
    ];

    assert.equal(lines.length, 2);
    assert.doesNotMatch(lines.join('\n'), /hunter2|ter\/2/);
  }
});

for (const [what, node, flags, expected] of [
  [
    'HTTP elsewhere without a token',
    'server',
    { ...ENOUGH, 'http-addr': '0.0.0.0:8080' },
    [/^http-addr: .*--api-token/],
  ],
  ['HTTP elsewhere with a token', 'server', { ...ENOUGH, 'http-addr': '0.0.0.0:8080', 'api-token-file': 'f' }, []],
  [
    'an agent’s HTTP elsewhere',
    'agent',
    { ...ENOUGH, 'http-addr': '[::]:8080' },
    [/^http-addr: ":::8080" is not loop/],
  ],
  ['HTTP of dev elsewhere', 'dev', { 'http-addr': '10.0.0.1:8080' }, [/^http-addr: .*--api-token.*--insecure-no-auth/]],
  ['HTTP of dev elsewhere with a token', 'dev', { 'http-addr': '10.0.0.1:8080', 'api-token-file': 'f' }, []],
  [
    'an address of HTTP that an agent does not have',
    'agent',
    { ...ENOUGH, 'advertise-addr': 'a1:8080' },
    [/^http-addr: must be given, since advertise-addr is; allowed: --http-addr and/],
  ],
  ['NATS elsewhere, bare', 'server', REMOTE, [/^nats-url: "nats\.example:4222" is not/, /^cluster-key-file: must/]],
  ['NATS elsewhere with credentials only', 'agent', { ...REMOTE, 'nats-creds': 'f' }, [/^cluster-key-file: must be/]],
  ['NATS elsewhere with a key only', 'agent', { ...REMOTE, 'cluster-key-file': 'f' }, [/^nats-url: .*--nats-creds/]],
  ['NATS elsewhere with both', 'agent', { ...REMOTE, 'nats-creds': 'f', 'cluster-key-file': 'f' }, []],
  [
    'NATS elsewhere with user and password',
    'server',
    { ...REMOTE, 'nats-user': 'u', 'nats-password-file': 'f', 'cluster-key-file': 'f' },
    [],
  ],
  [
    'NATS elsewhere with a certificate',
    'server',
    { ...REMOTE, 'nats-tls-cert': 'f', 'nats-tls-key': 'f', 'cluster-key-file': 'f' },
    [],
  ],
  [
    'one of several NATS elsewhere',
    'server',
    { ...ENOUGH, 'nats-url': 'nats://localhost,nats://10.1.1.1' },
    [/^nats-url: "10\.1\.1\.1:4222"/, /^cluster-key-file: must/],
  ],
  [
    'NATS elsewhere with a user in its URL, and the key',
    'agent',
    { ...ENOUGH, 'nats-url': 'nats://u:p@nats.example', 'cluster-key-file': 'f' },
    [],
  ],
  ['NATS of dev elsewhere, bare', 'dev', { 'nats-url': 'nats://10.1.1.1' }, [/^nats-url: .*give credentials/]],
  ['NATS of dev elsewhere with a token', 'dev', { 'nats-url': 'nats://secret@10.1.1.1' }, []],
  ['everything open, said so', 'server', { ...REMOTE, 'http-addr': '0.0.0.0:80', 'insecure-no-auth': 'true' }, []],
  ['a user without a password', 'agent', { ...ENOUGH, 'nats-user': 'u' }, [/^nats-password-file: must .*nats-user is/]],
  ['a password without a user', 'agent', { ...ENOUGH, 'nats-password-file': 'f' }, [/^nats-user: must be given/]],
  ['a certificate without its key', 'agent', { ...ENOUGH, 'nats-tls-cert': 'f' }, [/^nats-tls-key: must be given/]],
  [
    'two kinds of credentials',
    'dev',
    { 'nats-url': 'nats://u:p@localhost', 'nats-creds': 'f' },
    [/^credentials for NATS: are given more than once/],
  ],
] as const) {
  test(`${what}: ${expected.length === 0 ? 'allowed' : 'refused'}`, () => {
    const lines = refusal(node, { flags });

    assert.equal(lines.length, expected.length, lines.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? '', pattern);
  });
}

test('a setting that cannot be read breaks no rule besides', () => {
  const flags = { ...ENOUGH, 'nats-url': 'nowhere', 'http-addr': 'nowhere', slots: 'many' };

  const lines = refusal('server', { flags });

  assert.deepEqual(
    lines.map((line) => line.split(':')[0]),
    ['http-addr', 'slots', 'nats-url'],
  );
});
