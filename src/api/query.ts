/** The query parameters of both doors: text in an address, fields of a JSON object over NATS. */
import { z } from 'zod';
import type { CodedError } from '../base/errors.ts';
import { parseDuration } from '../jobs/duration.ts';
import type { ExecutionOrder, ExecutionSort, JobFilter } from './backend.ts';
import { faultsOf, invalid } from './faults.ts';
import { readInstant } from './instant-text.ts';
import { shorten, shortenValue } from './json-text.ts';

/** By the names of HTTP; a name that was given twice counts once, as in Dkron. */
export type Query = Readonly<Record<string, unknown>>;

export const FIRES_MAX = 1_000;
const HOUR_MS = 3_600_000;
const WAIT_DEFAULT_MS = HOUR_MS;
const WAIT_MAX_MS = 24 * HOUR_MS;

const SORTS = {
  id: 'name',
  name: 'name',
  displayname: 'displayname',
  schedule: 'schedule',
  success_count: 'success_count',
  error_count: 'error_count',
  last_success: 'last_success',
  last_error: 'last_error',
  next: 'next',
} as const satisfies Record<string, JobFilter['sort']>;

const sortNames = Object.keys(SORTS) as (keyof typeof SORTS)[];
const STATUSES = ['success', 'failed', 'partially_failed', 'untriggered'] as const;
const EXECUTION_SORTS = ['id', 'started_at', 'finished_at', 'attempt'] as const satisfies readonly ExecutionSort[];

const plain = z.string('text').optional();
const wholeNumber = z
  .string()
  .regex(/^[0-9]{1,15}$/, 'a whole number, at least 0')
  .transform(Number)
  .optional();
const yesOrNo = z.enum(['true', 'false'], 'true, false').optional();
const instant = z
  .string()
  .transform((value, context) => {
    const ms = /^[0-9]{1,15}$/.test(value) ? Number(value) : readInstant(value);
    if (typeof ms === 'number') return ms;
    context.issues.push({ code: 'custom', input: value, message: 'a time in RFC 3339, or ms since 1970' });
    return z.NEVER;
  })
  .optional();

const listSchema = z.object({
  q: plain,
  status: z.enum(STATUSES, STATUSES.join(', ')).optional(),
  disabled: yesOrNo,
  _sort: z.enum(sortNames, sortNames.join(', ')).optional(),
  _order: plain,
  _start: wholeNumber,
  _end: wholeNumber,
});

export function readJobFilter(query: Query): JobFilter {
  const fields = read(listSchema, query);
  return {
    metadata: readMetadata(query),
    text: fields.q ?? '',
    status: fields.status ?? null,
    disabled: fields.disabled === undefined ? null : fields.disabled === 'true',
    sort: SORTS[fields._sort ?? 'name'],
    isDescending: fields._order === 'DESC',
    start: fields._start ?? 0,
    end: fields._end ?? null,
  };
}

const executionsSchema = z.object({
  _sort: z.enum(EXECUTION_SORTS, EXECUTION_SORTS.join(', ')).optional(),
  _order: plain,
  _start: wholeNumber,
  _end: wholeNumber,
  output_size_limit: wholeNumber,
});

export interface ExecutionsQuery extends ExecutionOrder {
  /** Bytes of output that are wanted of each at most, from its end. */
  readonly outputBytesMax: number | null;
}

export function readExecutionsQuery(query: Query): ExecutionsQuery {
  const fields = read(executionsSchema, query);
  return {
    sort: fields._sort ?? 'id',
    isDescending: fields._order !== 'ASC',
    start: fields._start ?? 0,
    end: fields._end ?? null,
    outputBytesMax: fields.output_size_limit ?? null,
  };
}

const consistentSchema = z.object({ consistent: yesOrNo });

/** Whether a read must see every write that was acknowledged before it, on whatever server. */
export function isConsistent(query: Query): boolean {
  if (query['consistent'] === undefined) return false;
  return read(consistentSchema, query).consistent === 'true';
}

const serverSchema = z.object({ learner: yesOrNo, with: plain, to: plain });

/** For requests about one server; its name stands in the address, or beside the other fields. */
export function readServerQuery(
  { name, query }: { readonly name: string; readonly query: Query },
  { needsName = true } = {},
) {
  const fields = read(serverSchema, query);
  if (needsName && name === '') {
    const fault = { field: 'name', value: '', allowed: 'the name of a server', message: 'is missing' };
    throw invalid('query', [fault]);
  }
  return {
    name,
    isLearner: fields.learner === 'true',
    with: fields.with ?? null,
    to: fields.to ?? null,
  };
}

const firesSchema = z.object({
  from: instant,
  to: instant,
  limit: z
    .string()
    .regex(/^([1-9][0-9]{0,2}|1000)$/, `a whole number from 1 to ${FIRES_MAX}`)
    .transform(Number)
    .optional(),
  cursor: z
    .string()
    .regex(/^[0-9]{1,15}$/, 'the `next` of an earlier answer')
    .optional(),
});

export function readFiresQuery(query: Query, nowMs: number) {
  const fields = read(firesSchema, query);
  const toMs = fields.to ?? nowMs;
  const fromMs = fields.from ?? toMs - 24 * HOUR_MS;
  if (fromMs > toMs) {
    const fault = { field: 'from', value: query['from'], allowed: 'a time before to', message: 'is after to' };
    throw invalid('query', [fault]);
  }
  return { fromMs, toMs, limit: fields.limit ?? FIRES_MAX, cursor: fields.cursor ?? null };
}

const runSchema = z.object({
  wait: yesOrNo,
  timeout: z
    .string()
    .transform((value, context) => {
      const ms = parseDuration(value);
      if (ms !== undefined && ms > 0 && ms <= WAIT_MAX_MS) return ms;
      context.issues.push({ code: 'custom', input: value, message: 'a duration above 0s, at most 24h, such as 90s' });
      return z.NEVER;
    })
    .optional(),
});

export function readRunQuery(query: Query): { readonly isWaiting: boolean; readonly timeoutMs: number } {
  const fields = read(runSchema, query);
  return { isWaiting: fields.wait !== 'false', timeoutMs: fields.timeout ?? WAIT_DEFAULT_MS };
}

export function readOutputLimit(query: Query): number | null {
  return read(executionsSchema, query).output_size_limit ?? null;
}

/** Mere presence counts, as in Dkron; over NATS `false` is no. */
export function isPresent(query: Query, name: string): boolean {
  const value = query[name];
  return value !== undefined && value !== null && value !== false;
}

function read<Schema extends z.ZodObject>(schema: Schema, query: Query): z.infer<Schema> {
  const input: Record<string, unknown> = {};
  for (const name of Object.keys(schema.shape)) {
    const value = asText(query[name]);
    // An empty value asks for nothing, as an empty field of a form.
    if (value !== undefined && value !== null && value !== '') input[name] = value;
  }
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw invalid('query', faultsOf(parsed.error, input));
  return parsed.data;
}

function asText(value: unknown): unknown {
  if (Array.isArray(value)) return asText(value[0]);
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : value;
}

/** `metadata[key]=value` in an address, `metadata: {key: value}` over NATS. */
function readMetadata(query: Query): Record<string, string> {
  // Without a prototype, for the keys are the client's.
  const metadata: Record<string, string> = Object.create(null) as Record<string, string>;
  const add = (key: string, given: unknown): void => {
    const value = asText(given);
    if (typeof value !== 'string') throw metadataFault(`metadata.${key}`, given, 'a string');
    metadata[key] = value;
  };
  const map = query['metadata'];
  if (map !== undefined && map !== null) {
    if (typeof map !== 'object' || Array.isArray(map)) throw metadataFault('metadata', map, 'metadata[key]=value');
    for (const [key, value] of Object.entries(map)) add(key, value);
  }
  for (const name of Object.keys(query)) {
    const match = /^metadata\[(.+)\]$/s.exec(name);
    if (match !== null) add(match[1] as string, query[name]);
  }
  return metadata;
}

function metadataFault(field: string, value: unknown, allowed: string): CodedError {
  return invalid('query', [
    { field: shorten(field, 80), value: shortenValue(value), allowed, message: 'is not allowed' },
  ]);
}
