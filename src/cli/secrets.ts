/**
 * The files that settings name: read at the start, so that a mistake leaves nothing behind. Those for TLS are looked at
 * only, since they are read again at each connection.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { parseNatsAddress } from '../api/nats-address.ts';
import type { Fault } from '../base/errors.ts';
import type { NatsDoor } from '../cluster/nats-door.ts';
import { type NodeSettings, SETTINGS, type SettingName } from '../settings-table.ts';

export interface Secrets {
  /** Null: HTTP asks for none. */
  readonly apiToken: string | null;
  /** Empty: nodes prove nothing to one another. */
  readonly clusterKey: Uint8Array;
  /** Without servers for a `dev` that was given none. */
  readonly nats: NatsDoor;
  /** Lines for the log, about files that others can read. */
  readonly warnings: readonly string[];
}

/** What nobody can guess has at least so many bytes. */
export const SECRET_BYTES_MIN = 16;
const FILE_BYTES_MAX = 65_536;
const OTHERS_READ = 0o004;

/** Where there are faults `secrets` is not to be used. Absent settings name no file. */
export async function checkSecrets(
  settings: Partial<NodeSettings>,
): Promise<{ readonly secrets: Secrets; readonly faults: readonly Fault[] }> {
  const files = new SecretFiles();
  const apiToken = await files.read('api-token-file', settings.apiTokenFile, readToken);
  const clusterKey = await files.read('cluster-key-file', settings.clusterKeyFile, readKey);
  const password = await files.read('nats-password-file', settings.natsPasswordFile, readPassword);
  const creds = await files.read('nats-creds', settings.natsCreds, readCredentials);
  const caFile = await files.look('nats-tls-ca', settings.natsTlsCa, 'public');
  const certFile = await files.look('nats-tls-cert', settings.natsTlsCert, 'public');
  const keyFile = await files.look('nats-tls-key', settings.natsTlsKey, 'secret');

  const { natsUrl = '', natsUser = '' } = settings;
  const address: NatsDoor = natsUrl === '' ? { servers: [] } : parseNatsAddress(natsUrl);
  const isTls = address.tls !== undefined || caFile !== undefined || certFile !== undefined;
  const nats: NatsDoor = {
    servers: address.servers,
    ...(isTls ? { tls: present({ caFile, certFile, keyFile }) } : {}),
    ...present({ user: natsUser === '' ? address.user : natsUser, password: password ?? address.password }),
    ...present({ token: address.token, creds }),
  };
  const secrets = { apiToken: apiToken ?? null, clusterKey: clusterKey ?? NO_KEY, nats, warnings: files.warnings };
  return { secrets, faults: files.faults };
}

/** A text says what is wrong with the file. */
type Reading<Value> = { readonly value: Value } | string;

class SecretFiles {
  readonly faults: Fault[] = [];
  readonly warnings: string[] = [];

  /** Undefined: there is none, or it is at fault. */
  async read<Value>(
    name: SettingName,
    path: string | undefined,
    parse: (bytes: Uint8Array) => Reading<Value>,
    kind: 'secret' | 'public' = 'secret',
  ): Promise<Value | undefined> {
    if (path === undefined || path === '') return undefined;
    const file = await readBounded(path);
    const reading = typeof file === 'string' ? file : file.bytes.length === 0 ? 'is empty' : parse(file.bytes);
    if (typeof reading === 'string') {
      this.faults.push({ field: name, value: path, allowed: SETTINGS[name].allowed, message: reading });
      return undefined;
    }
    // What an orchestrator mounts there is readable inside one container only.
    const isMounted = path.startsWith('/run/secrets/');
    if (kind === 'secret' && typeof file === 'object' && file.isOpenToOthers && !isMounted) {
      this.warnings.push(`--${name} ${path}: every user of this machine can read it; chmod 600 would keep it secret`);
    }
    return reading.value;
  }

  /** The path of a PEM file. */
  async look(name: SettingName, path: string | undefined, kind: 'secret' | 'public'): Promise<string | undefined> {
    return (await this.read(name, path, isPem, kind)) === undefined ? undefined : path;
  }
}

/** The end of a line belongs to the editor that wrote the file, not to the secret. */
function readToken(bytes: Uint8Array): Reading<string> {
  const token = withoutLineEnd(Buffer.from(bytes).toString('latin1'));
  if (!/^[\x21-\x7e]*$/.test(token)) return 'holds other characters than visible ASCII, which no header can carry';
  return token.length < SECRET_BYTES_MIN ? tooShort(token.length) : { value: token };
}

function readKey(bytes: Uint8Array): Reading<Uint8Array> {
  const length = withoutLineEnd(Buffer.from(bytes).toString('latin1')).length;
  return length < SECRET_BYTES_MIN ? tooShort(length) : { value: bytes.slice(0, length) };
}

function readPassword(bytes: Uint8Array): Reading<string> {
  try {
    const password = withoutLineEnd(UTF8.decode(bytes));
    return password === '' ? 'is empty' : { value: password };
  } catch {
    return 'is not UTF-8';
  }
}

/** Looked at here: the client of NATS would say it at each of its tries, for ever. */
function readCredentials(bytes: Uint8Array): Reading<Uint8Array> {
  const text = Buffer.from(bytes).toString('latin1');
  const isComplete = text.includes('-----BEGIN NATS USER JWT-----') && text.includes('-----BEGIN USER NKEY SEED-----');
  return isComplete ? { value: bytes } : 'is no credentials file of NATS: it lacks its JWT or its seed';
}

function isPem(bytes: Uint8Array): Reading<true> {
  const text = Buffer.from(bytes).toString('latin1');
  return /-----BEGIN [A-Z0-9 ]+-----/.test(text) ? { value: true } : 'is not PEM';
}

function tooShort(length: number): string {
  return `holds ${length} bytes, which can be guessed: make one with openssl rand -hex 32`;
}

function withoutLineEnd(text: string): string {
  return text.replace(/[\r\n]+$/, '');
}

interface SecretFile {
  readonly bytes: Uint8Array;
  readonly isOpenToOthers: boolean;
}

/** A pipe is read as well, hence no look at the size beforehand. */
async function readBounded(path: string): Promise<SecretFile | string> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const { mode } = await file.stat();
    const buffer = Buffer.alloc(FILE_BYTES_MAX + 1);
    let length = 0;
    while (length <= FILE_BYTES_MAX) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    if (length > FILE_BYTES_MAX) return `has more than ${FILE_BYTES_MAX} bytes`;
    return { bytes: new Uint8Array(buffer.subarray(0, length)), isOpenToOthers: (mode & OTHERS_READ) !== 0 };
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    return REASONS.get(code) ?? `cannot be read (${code})`;
  } finally {
    await file?.close();
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'does not exist'],
  ['ENOTDIR', 'does not exist'],
  ['EACCES', 'may not be read by this user'],
  ['EISDIR', 'is a directory'],
]);

type Present<Fields> = { readonly [Key in keyof Fields]?: Exclude<Fields[Key], undefined> };

function present<Fields extends object>(fields: Fields): Present<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<Fields>;
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });
const NO_KEY = new Uint8Array(0);
