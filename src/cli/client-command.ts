/** What all client commands share: where the server is, how failures end, how answers are printed. */
import { readFileSync } from 'node:fs';
import { Command, type CommanderError } from 'commander';
import { CodedError } from '../base/errors.ts';
import { accepted, type Client, type ClientCall, type ClientReply } from './client.ts';
import { CLIENT_FAILED } from './exit-codes.ts';
import { openClient } from './open-client.ts';

export interface ClientFlags {
  readonly url?: string;
  readonly cluster?: string;
  readonly natsCreds?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

export const URL_DEFAULT = 'http://127.0.0.1:8080';
export const CLUSTER_DEFAULT = 'dev';

/** A group such as `job`: mistakes in its arguments end with 125 as well. */
export function clientGroup(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .exitOverride(exitOnMistake)
    .showHelpAfterError('(--help says more)');
}

/** The flags of every client command. */
export function withClientFlags(command: Command): Command {
  return command
    .option('--url <url>', `http:// or nats:// address of a server (CARILLON_URL; default ${URL_DEFAULT})`)
    .option('--cluster <name>', `name of the cluster, for nats:// (CARILLON_CLUSTER; default ${CLUSTER_DEFAULT})`)
    .option('--nats-creds <file>', 'credentials file, for nats:// (CARILLON_NATS_CREDS)')
    .option('--token-file <file>', 'file that holds the token of the API (or CARILLON_TOKEN, the token itself)')
    .option('--json', 'print the answer of the server as it came');
}

export interface Session {
  readonly client: Client;
  readonly isJson: boolean;
  /** Throws for an answer that says no. Warnings go to stderr. */
  ask(call: ClientCall): Promise<ClientReply>;
  print(text: string): void;
  /** For people who wait, on stderr: what is printed stays fit for scripts. */
  note(text: string): void;
}

/** Runs an action with a client; its number is the exit code. Our own failures are one line and 125. */
export async function withSession(flags: ClientFlags, action: (session: Session) => Promise<number>): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', bearClosedOutput);
  let client: Client | undefined;
  try {
    client = await openClient(readOptions(flags));
    const open = client;
    process.exitCode = await action({
      client,
      isJson: flags.json === true,
      async ask(call) {
        const reply = accepted(await open.call(call));
        const warning = reply.header('Carillon-Warning');
        if (warning !== undefined) process.stderr.write(`warning: ${readable(warning)}\n`);
        return reply;
      },
      print: (text) => void process.stdout.write(text),
      note: (text) => void process.stderr.write(text),
    });
  } catch (error) {
    fail(error);
  } finally {
    await client?.close();
  }
}

export function fail(error: unknown): void {
  const text =
    error instanceof CodedError
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error);
  process.stderr.write(`carillon: ${text}\n`);
  process.exitCode = CLIENT_FAILED;
}

export function parseReply(reply: ClientReply): Readonly<Record<string, unknown>> {
  return parseAny(reply) as Readonly<Record<string, unknown>>;
}

export function parseItems(reply: ClientReply): readonly Readonly<Record<string, unknown>>[] {
  const value = parseAny(reply);
  if (!Array.isArray(value)) throw new CodedError('invalid', 'the server answered with something else than a list');
  return value as Readonly<Record<string, unknown>>[];
}

/** A field of an answer as text for a table. */
export function textOf(value: unknown): string {
  if (value === null || value === undefined || value === '') return '-';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function parseAny(reply: ClientReply): unknown {
  try {
    const value: unknown = JSON.parse(reply.text);
    if (value !== null && typeof value === 'object') return value;
  } catch {
    // Said below: whoever answered is no Carillon.
  }
  throw new CodedError(
    'invalid',
    `the answer is not JSON (status ${reply.status}): does --url lead to a Carillon server?`,
  );
}

function readOptions(flags: ClientFlags) {
  const { env } = process;
  const url = flags.url ?? (env['CARILLON_URL'] || URL_DEFAULT);
  const cluster = flags.cluster ?? (env['CARILLON_CLUSTER'] || CLUSTER_DEFAULT);
  const credsFile = flags.natsCreds ?? env['CARILLON_NATS_CREDS'];
  const token = readToken(flags);
  return {
    url,
    cluster,
    ...(credsFile === undefined || credsFile === ''
      ? {}
      : { natsCreds: Buffer.from(readText(credsFile, '--nats-creds')) }),
    ...(token === undefined ? {} : { token }),
  };
}

/** What is no token is never shown: it may be another secret. */
function readToken(flags: ClientFlags): string | undefined {
  const variable = process.env['CARILLON_TOKEN'];
  if (flags.tokenFile === undefined && (variable === undefined || variable === '')) return undefined;
  const { source, text } =
    flags.tokenFile === undefined
      ? { source: 'CARILLON_TOKEN', text: variable ?? '' }
      : { source: `--token-file ${flags.tokenFile}`, text: readText(flags.tokenFile, '--token-file') };
  const token = text.trim();
  if (/^[!-~]+$/.test(token)) return token;
  throw new CodedError('invalid', `${source}: not a token; allowed: visible ASCII characters`);
}

export function readText(file: string, what: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const reason =
      code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'it may not be read' : String(code);
    throw new CodedError('invalid', `${what} ${file}: ${reason}`, { cause });
  }
}

/** The value of a flag that counts something. */
export function wholeNumber(flag: string, text: string): number {
  if (!/^[0-9]{1,15}$/.test(text)) throw new CodedError('invalid', `${flag} ${text}: write a whole number`);
  return Number(text);
}

/** Warnings travel escaped, since headers are ASCII. */
function readable(warning: string): string {
  try {
    return decodeURIComponent(warning);
  } catch {
    // A percent sign of its own: shown as it came.
    return warning;
  }
}

/**
 * `| head` and `| grep -q` close our output early, which is no failure: the rest is written into the void, and the exit
 * code is what the command came to.
 */
function bearClosedOutput(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

function exitOnMistake(error: CommanderError): never {
  process.exit(error.exitCode === 0 ? 0 : CLIENT_FAILED);
}
