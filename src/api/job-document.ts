/** From the document that a client sent to the job that is proposed: normalised once, here, and never again. */
import { CodedError, type Fault } from '../base/errors.ts';
import { checkCronLine } from '../jobs/cron-parser-check.ts';
import type { CronLine } from '../jobs/cron-text.ts';
import { parseDuration } from '../jobs/duration.ts';
import type { Job, Json } from '../jobs/job.ts';
import { checkJob, type JobCheckContext } from '../jobs/job-check.ts';
import { type JobDocument, jobDocumentSchema, unknownFields } from './contract.ts';
import { FAULTS_MAX, faultsOf, invalid } from './faults.ts';
import { readInstant } from './instant-text.ts';
import { shorten, shortenValue } from './json-text.ts';

export const KEEP_RUNS_DEFAULT = 100;

export interface ReadJob {
  readonly job: Job;
  /** For `Carillon-Warning`. */
  readonly warnings: readonly string[];
}

/** Throws `invalid` with all faults at once. `pathName` is the name in the address, for a document without one. */
export function readJobDocument(value: Json, context: JobCheckContext, pathName?: string): ReadJob {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    const fault = { field: '', value: shortenValue(value), allowed: 'a JSON object', message: 'is not a job' };
    throw invalid('the body', [fault]);
  }
  const { document, misshapen, faults } = readShape(value as Readonly<Record<string, Json>>);

  const warnings = unknownFieldWarnings(unknownFields(value as Readonly<Record<string, Json>>));
  if (pathName !== undefined && typeof document.name === 'string' && document.name !== pathName) {
    warnings.push(
      `the address names ${shorten(pathName, 60)}, the document ${shorten(document.name, 60)}: the document counts`,
    );
  }
  const found: Fault[] = [];
  const job = normalise(document, pathName ?? '', found);
  const check = checkJob(job, context);
  found.push(...check.faults);
  if (found.length === 0 && check.schedule?.type === 'cron') {
    const fault = secondOpinion(check.schedule.line);
    if (fault !== undefined) found.push(fault);
  }
  faults.push(...found.filter((fault) => !followsFrom(fault, misshapen)));
  if (faults.length > 0) throw invalid(subjectOf(value), faults.slice(0, FAULTS_MAX).map(withShortValue));
  return { job, warnings: [...warnings, ...check.warnings] };
}

interface Shape {
  /** Without the fields whose shape is wrong. */
  readonly document: JobDocument;
  readonly misshapen: ReadonlySet<string>;
  readonly faults: Fault[];
}

/** What cannot be read is left out, so that the rest is checked all the same. */
function readShape(value: Readonly<Record<string, Json>>): Shape {
  const parsed = jobDocumentSchema.safeParse(value);
  if (parsed.success) return { document: parsed.data, misshapen: new Set(), faults: [] };
  const misshapen = new Set(parsed.error.issues.map(({ path }) => String(path[0])));
  const rest = Object.fromEntries(Object.entries(value).filter(([field]) => !misshapen.has(field)));
  return { document: jobDocumentSchema.parse(rest), misshapen, faults: faultsOf(parsed.error, value) };
}

/** Which fields are judged by others: where one of these was left out, a fault of the field may be no fault at all. */
const JUDGED_BY: Readonly<Record<string, readonly string[]>> = {
  schedule: ['parent_job'],
  executor: ['command'],
  executor_config: ['executor', 'command'],
};

function followsFrom({ field }: Fault, misshapen: ReadonlySet<string>): boolean {
  const root = rootOf(field);
  return misshapen.has(root) || (JUDGED_BY[root] ?? []).some((judge) => misshapen.has(judge));
}

/** A path such as `tags.web` is one of the field `tags`. */
function rootOf(field: string): string {
  return field.split(/[.[]/, 1)[0] ?? field;
}

function normalise(document: JobDocument, pathName: string, faults: Fault[]): Job {
  const { executor, executorConfig } = readExecutor(document, faults);
  return {
    name: document.name ?? pathName,
    displayName: document.displayname ?? '',
    timezone: document.timezone ?? '',
    schedule: (document.schedule ?? '').trim(),
    owner: document.owner ?? '',
    ownerEmail: document.owner_email ?? '',
    disabled: document.disabled ?? false,
    tags: notEmpty(document.tags),
    metadata: notEmpty(document.metadata),
    retries: document.retries ?? 0,
    parentJob: document.parent_job ?? '',
    processors: notEmpty(document.processors),
    concurrency: document.concurrency === 'forbid' ? 'forbid' : 'allow',
    executor,
    executorConfig,
    ephemeral: document.ephemeral ?? false,
    startsAtMs: readTime('starts_at', document.starts_at, faults),
    expiresAtMs: readTime('expires_at', document.expires_at, faults),
    targets: document.targets ?? null,
    onLost: document.on_lost === 'retry' ? 'retry' : 'fail',
    startWithinMs: readStartWithin(document.start_within, faults),
    keepRuns: document.keep_runs ?? KEEP_RUNS_DEFAULT,
  };
}

/** cron-parser takes some 100 µs for a line, and most jobs share a few lines; when the cache is full it starts anew. */
const opinions = new Map<string, Fault | undefined>();
const OPINIONS_MAX = 4_096;

function secondOpinion(line: CronLine): Fault | undefined {
  if (opinions.has(line.text)) return opinions.get(line.text);
  if (opinions.size >= OPINIONS_MAX) opinions.clear();
  const fault = checkCronLine(line);
  opinions.set(line.text, fault);
  return fault;
}

/** `command` is short for the shell executor; beside anything that says otherwise it is a fault. */
function readExecutor(document: JobDocument, faults: Fault[]): Pick<Job, 'executor' | 'executorConfig'> {
  const executor = document.executor ?? '';
  const config = document.executor_config ?? null;
  const command = document.command ?? '';
  if (command === '') return { executor, executorConfig: notEmpty(config) };
  const says = (field: string, value: unknown, allowed: string): void => {
    faults.push({ field, value: shortenValue(value), allowed, message: 'contradicts the command at the top level' });
  };
  if (executor !== '' && executor !== 'shell') says('executor', executor, 'shell, or none');
  const own: Readonly<Record<string, unknown>> = config ?? {};
  const ownCommand = own['command'] ?? command;
  const ownShell = own['shell'] ?? 'true';
  if (ownCommand !== command) says('executor_config.command', ownCommand, 'the same command, or none');
  if (ownShell !== 'true') says('executor_config.shell', ownShell, 'true, or none');
  return { executor: 'shell', executorConfig: { ...config, command, shell: 'true' } };
}

function readTime(field: string, value: string | null | undefined, faults: Fault[]): number | null {
  if (value === null || value === undefined || value === '') return null;
  const ms = readInstant(value);
  if (ms !== undefined) return ms;
  const allowed = 'a time in RFC 3339 such as 2026-12-24T18:00:00Z, or 2026-12-24T18:00 for UTC';
  faults.push({ field, value, allowed, message: 'is not a time' });
  return null;
}

function readStartWithin(value: string | null | undefined, faults: Fault[]): number | null {
  if (value === null || value === undefined || value === '') return null;
  const ms = parseDuration(value);
  if (ms !== undefined && ms >= 0) return ms;
  const allowed = 'a duration of at least 0s, such as 90s or 10m';
  const message = ms === undefined ? 'is not a duration' : 'is below 0s';
  faults.push({ field: 'start_within', value, allowed, message });
  return null;
}

function notEmpty<Value>(
  map: Readonly<Record<string, Value>> | null | undefined,
): Readonly<Record<string, Value>> | null {
  return map === null || map === undefined || Object.keys(map).length === 0 ? null : map;
}

function unknownFieldWarnings(names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const shown = names.slice(0, 10).map((name) => shorten(name, 60));
  const more = names.length > shown.length ? ` and ${names.length - shown.length} more` : '';
  return [`unknown fields were ignored: ${shown.join(', ')}${more}`];
}

function subjectOf(value: object): string {
  const { name } = value as { readonly name?: Json };
  return typeof name === 'string' && name !== '' ? `job ${shorten(name, 60)}` : 'job';
}

function withShortValue(fault: Fault): Fault {
  return { ...fault, value: shortenValue(fault.value) };
}

/** Unknown fields as faults, for the command line, which has no older clients to be kind to. */
export function refuseUnknownFields(document: Readonly<Record<string, unknown>>): void {
  const names = unknownFields(document);
  if (names.length === 0) return;
  const allowed = Object.keys(jobDocumentSchema.shape).join(', ');
  const faults = names.map((field) => ({
    field: shorten(field, 60),
    value: shortenValue(document[field]),
    allowed,
    message: 'is not a field of a job',
  }));
  throw new CodedError(
    'invalid',
    `unknown field ${faults.map((fault) => fault.field).join(', ')}; fields of a job: ${allowed}`,
    { faults },
  );
}
