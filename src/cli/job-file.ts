/** A job document from a file, from flags, or from both: flags win. */
import { refuseUnknownFields } from '../api/job-document.ts';
import { CodedError } from '../base/errors.ts';
import { readText, wholeNumber } from './client-command.ts';

export interface JobFlags {
  readonly name?: string;
  readonly schedule?: string;
  readonly command?: string;
  readonly tag?: readonly string[];
  readonly metadata?: readonly string[];
  readonly timezone?: string;
  readonly displayname?: string;
  readonly owner?: string;
  readonly ownerEmail?: string;
  readonly concurrency?: string;
  readonly retries?: string;
  readonly parentJob?: string;
  readonly executor?: string;
  readonly executorConfig?: readonly string[];
  readonly disabled?: boolean;
  readonly ephemeral?: boolean;
  readonly targets?: string;
  readonly startWithin?: string;
  readonly onLost?: string;
  readonly keepRuns?: string;
  readonly startsAt?: string;
  readonly expiresAt?: string;
}

/** JSON text for `put`. A field that no job has is refused: it is a slip of the pen more often than a wish. */
export function jobDocument(file: string | undefined, flags: JobFlags): string {
  const text = file === undefined ? undefined : readText(file, 'job file');
  const fields = flagFields(flags);
  if (text === undefined && Object.keys(fields).length === 0) {
    throw new CodedError(
      'invalid',
      'no job: name a file, - for standard input, or flags such as --name and --schedule',
    );
  }
  const document = { ...(text === undefined ? {} : readDocument(file ?? '', text)), ...fields };
  refuseUnknownFields(document);
  return JSON.stringify(document);
}

function readDocument(file: string, text: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CodedError('invalid', `job file ${file} is not JSON: ${reason}`, { cause });
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    throw new CodedError(
      'invalid',
      `job file ${file}: a job is a JSON object such as {"name": "a", "schedule": "@hourly"}`,
    );
  }
  return value as Readonly<Record<string, unknown>>;
}

function flagFields(flags: JobFlags): Record<string, unknown> {
  const fields: Record<string, unknown> = {
    name: flags.name,
    schedule: flags.schedule,
    command: flags.command,
    tags: pairs('--tag', flags.tag),
    metadata: pairs('--metadata', flags.metadata),
    timezone: flags.timezone,
    displayname: flags.displayname,
    owner: flags.owner,
    owner_email: flags.ownerEmail,
    concurrency: flags.concurrency,
    retries: number('--retries', flags.retries),
    parent_job: flags.parentJob,
    executor: flags.executor,
    executor_config: executorConfig(flags.executorConfig),
    disabled: flags.disabled,
    ephemeral: flags.ephemeral,
    targets: flags.targets === 'all' ? 'all' : number('--targets', flags.targets),
    start_within: flags.startWithin,
    on_lost: flags.onLost,
    keep_runs: number('--keep-runs', flags.keepRuns),
    starts_at: flags.startsAt,
    expires_at: flags.expiresAt,
  };
  for (const [key, value] of Object.entries(fields)) if (value === undefined) delete fields[key];
  return fields;
}

function pairs(flag: string, texts: readonly string[] | undefined): Record<string, string> | undefined {
  if (texts === undefined) return undefined;
  return Object.fromEntries(
    texts.map((text) => {
      const equals = text.indexOf('=');
      if (equals <= 0) throw new CodedError('invalid', `${flag} ${text}: write name=value`);
      return [text.slice(0, equals), text.slice(equals + 1)];
    }),
  );
}

/** All options are texts but the `input` of a function, which is any JSON; what is not JSON stays a text. */
function executorConfig(texts: readonly string[] | undefined): Record<string, unknown> | undefined {
  const config = pairs('--executor-config', texts);
  const input = config?.['input'];
  if (input === undefined) return config;
  try {
    return { ...config, input: JSON.parse(input) };
  } catch {
    // A text, which needs no quotes here.
    return config;
  }
}

function number(flag: string, text: string | undefined): number | undefined {
  return text === undefined ? undefined : wholeNumber(flag, text);
}
