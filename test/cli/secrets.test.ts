import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { CodedError } from '../../src/base/errors.ts';
import { checkSecrets, type Secrets } from '../../src/cli/secrets.ts';
import { loadSettings } from '../../src/cli/setting-options.ts';
import { readSettings, settingsError } from '../../src/config.ts';
import { createIntlZones } from '../../src/jobs/intl-zones.ts';
import type { NodeSettings } from '../../src/settings-table.ts';

const ZONES = createIntlZones();
const DIRECTORY = await mkdtemp(join(tmpdir(), 'carillon-secrets-'));
after(() => rm(DIRECTORY, { recursive: true }));

const KEY = '0123456789abcdef';
const CREDENTIALS =
  '-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n\n' +
  '-----BEGIN USER NKEY SEED-----\nSUAC\n------END USER NKEY SEED------\n';
const PEM = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n';

async function file(name: string, content: string | Uint8Array, mode = 0o600): Promise<string> {
  const path = join(DIRECTORY, name);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

async function readSecrets(settings: NodeSettings): Promise<Secrets> {
  const { secrets, faults } = await checkSecrets(settings);
  if (faults.length > 0) throw settingsError(faults);
  return secrets;
}

function settingsOf(flags: Readonly<Record<string, string>>): NodeSettings {
  const enough = { 'nats-url': 'nats://127.0.0.1', 'data-dir': 'data', 'node-name': 'n1' };
  return readSettings('server', { flags: { ...enough, ...flags }, environment: {}, file: undefined }, ZONES);
}

test('without files there is no token, an empty key and a bare way to NATS', async () => {
  const secrets = await readSecrets(settingsOf({}));

  assert.deepEqual(secrets, {
    apiToken: null,
    clusterKey: new Uint8Array(0),
    nats: { servers: ['127.0.0.1:4222'] },
    warnings: [],
  });
});

test('token, key and password are what stands in their files, without the end of the line', async () => {
  const flags = {
    'api-token-file': await file('token', `${KEY}\n`),
    'cluster-key-file': await file('key', Buffer.from(`${KEY}\xff\r\n`, 'latin1')),
    'nats-user': 'me',
    'nats-password-file': await file('password', 'pass wörd \n'),
  };

  const { apiToken, clusterKey, nats } = await readSecrets(settingsOf(flags));

  assert.equal(apiToken, KEY);
  assert.deepEqual(Buffer.from(clusterKey), Buffer.from(`${KEY}\xff`, 'latin1'));
  assert.deepEqual(nats, { servers: ['127.0.0.1:4222'], user: 'me', password: 'pass wörd ' });
});

for (const [url, expected] of [
  ['nats://127.0.0.1:1,nats://localhost', { servers: ['127.0.0.1:1', 'localhost:4222'] }],
  ['tls://localhost', { servers: ['localhost:4222'], tls: {} }],
  ['nats://secret@localhost', { servers: ['localhost:4222'], token: 'secret' }],
  ['nats://me:p%40ss@localhost', { servers: ['localhost:4222'], user: 'me', password: 'p@ss' }],
] as const) {
  test(`the way to NATS by ${url.replace(/\/\/.*@/, '//…@')} is ${Object.keys(expected).join(', ')}`, async () => {
    const { nats } = await readSecrets(settingsOf({ 'nats-url': url }));

    assert.deepEqual(nats, expected);
  });
}

test('certificates ask for TLS, and are handed over by their files; credentials as bytes', async () => {
  const flags = {
    'nats-creds': await file('creds', CREDENTIALS),
    'nats-tls-ca': await file('ca', PEM),
    'nats-tls-cert': await file('cert', PEM),
    'nats-tls-key': await file('tls-key', PEM),
  };

  const { nats } = await readSecrets(settingsOf(flags));

  assert.deepEqual(nats.tls, {
    caFile: flags['nats-tls-ca'],
    certFile: flags['nats-tls-cert'],
    keyFile: flags['nats-tls-key'],
  });
  assert.equal(Buffer.from(nats.creds ?? []).toString(), CREDENTIALS);
  assert.deepEqual(structuredClone(nats), nats, 'it can be sent to another thread');
});

for (const [what, setting, content, expected] of [
  ['an empty token', 'api-token-file', '', /is empty/],
  ['a token of a line end only', 'api-token-file', '\n', /holds 0 bytes/],
  ['a short token', 'api-token-file', `${KEY.slice(1)}\n`, /holds 15 bytes, which can be guessed/],
  ['a token with blanks', 'api-token-file', `${KEY} ${KEY}`, /other characters than visible ASCII/],
  ['a token with umlauts', 'api-token-file', `${KEY}ü`, /other characters than visible ASCII/],
  ['a short key', 'cluster-key-file', `${KEY.slice(1)}\n\n`, /holds 15 bytes/],
  ['an empty key', 'cluster-key-file', '', /is empty/],
  ['a key without end', 'cluster-key-file', 'x'.repeat(70_000), /has more than 65536 bytes/],
  ['a file that holds no credentials', 'nats-creds', 'SUAC', /is no credentials file of NATS/],
  ['a CA that is no PEM', 'nats-tls-ca', 'MIIB', /is not PEM/],
] as const) {
  test(`${what} is refused by the name of the setting, without the secret`, async () => {
    const path = await file('wrong', content);

    const { faults } = await checkSecrets(settingsOf({ [setting]: path }));

    assert.deepEqual(
      faults.map(({ field, value }) => [field, value]),
      [[setting, path]],
    );
    const refusal = readSecrets(settingsOf({ [setting]: path }));
    await assert.rejects(refusal, (error: CodedError) => {
      assert.equal(error.code, 'settings');
      assert.match(error.message, expected);
      assert.ok(content.trim() === '' || !error.message.includes(content.trim()));
      return true;
    });
  });
}

test('a password must be there, and be text', async () => {
  const passwordOf = async (content: string | Uint8Array) => {
    const path = await file('password', content);
    return (await checkSecrets(settingsOf({ 'nats-user': 'me', 'nats-password-file': path }))).faults[0]?.message;
  };

  assert.equal(await passwordOf('\n'), 'is empty');
  assert.equal(await passwordOf(Buffer.from([0x61, 0xff])), 'is not UTF-8');
});

test('files that are not there or are none are told all at once', async () => {
  const settings = settingsOf({
    'api-token-file': join(DIRECTORY, 'nowhere'),
    'cluster-key-file': DIRECTORY,
    'nats-creds': join(await file('plain', KEY), 'below'),
  });

  const { faults } = await checkSecrets(settings);

  assert.deepEqual(
    faults.map(({ field, message }) => `${field} ${message}`),
    ['api-token-file does not exist', 'cluster-key-file is a directory', 'nats-creds does not exist'],
  );
});

test('secrets that every user can read are named by a warning, certificates are not', async () => {
  const token = await file('open-token', KEY, 0o644);
  const settings = settingsOf({
    'api-token-file': token,
    'cluster-key-file': await file('group-key', KEY, 0o640),
    'nats-tls-ca': await file('open-ca', PEM, 0o644),
  });

  const { apiToken, warnings } = await readSecrets(settings);

  assert.equal(apiToken, KEY);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? '', /^--api-token-file .*open-token: every user of this machine can read it/);
});

test('mistakes in settings and in the files that they name are one refusal', async () => {
  const options = {
    slots: 'many',
    dataDir: 'data',
    natsUrl: 'nats://localhost',
    nodeName: 'n1',
    clusterKeyFile: '/nowhere',
  };

  const loading = loadSettings('server', options);

  await assert.rejects(loading, (error: CodedError) => {
    assert.deepEqual(
      error.faults.map(({ field }) => field),
      ['slots', 'cluster-key-file'],
    );
    return true;
  });
});

test('what is given as flags and in a settings file comes out as settings and secrets', async () => {
  const config = await file(
    'config.json',
    JSON.stringify({ 'data-dir': 'data', 'node-name': 'n1', tag: { zone: 'a' } }),
  );
  const options = {
    config,
    natsUrl: 'nats://localhost',
    tag: ['my_role=web'],
    bootstrapExpect: '3',
    apiTokenFile: await file('token', KEY),
  };

  const { settings, secrets } = await loadSettings('server', options);

  assert.deepEqual([settings.nodeName, settings.tags, settings.bootstrapExpect], ['n1', { my_role: 'web' }, 3]);
  assert.equal(secrets.apiToken, KEY);
});
