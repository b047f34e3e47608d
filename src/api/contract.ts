/**
 * The contract of the doors: one schema for each thing that clients send, from which come the TypeScript type, the
 * check at run time and, later, the OpenAPI document. Names and shapes are Dkron's, with ours beside them; what the
 * operations answer stands in `job-json.ts`, `run-json.ts` and `node-json.ts`. The HTTP and the NATS door share all of
 * it.
 *
 *   bytes ──parseJson──► Json ──schema──► JobDocument ──job-document.ts──► Job ──operations.ts──► Backend
 *
 * A schema sees types and shapes; whether a schedule, a zone or a tag makes sense is said by `jobs/job-check.ts`. The
 * message of each schema is what it allows there: it ends up as `allowed` in a problem's `errors`.
 */
import { z } from 'zod';
import type { Json } from '../jobs/job.ts';
import { KEEP_RUNS_MAX, RETRIES_MAX, TARGETS_MAX } from '../jobs/job-check.ts';

const text = z.string('a string').nullish();
const flag = z.boolean('true or false').nullish();
/** The range itself is checked with the job, but who sends text wants to know all that is allowed. */
const count = (low: number, high: number) => {
  const allowed = `a whole number from ${low} to ${high}`;
  return z.number(allowed).int(allowed).nullish();
};
const textMap = z.record(z.string(), z.string('a string'), 'an object whose values are strings').nullish();

const json: z.ZodType<Json> = z.json('JSON') as z.ZodType<Json>;

/** A job as clients send it. `null` stands for the default of its field. */
export const jobDocumentSchema = z
  .object(
    {
      name: text.describe(
        'The key of the job: lower-case letters of any alphabet, digits, _ and -; at most 255 bytes.',
      ),
      displayname: text.describe('Shown instead of the name.'),
      timezone: text.describe('IANA name of the zone that the schedule is read in; default: the cluster setting.'),
      schedule: text.describe('When: cron with 5 or 6 fields, @every, @at, @hourly …, @manually. Not for children.'),
      owner: text.describe('Free text.'),
      owner_email: text.describe('Address of the owner.'),
      disabled: flag.describe('Whether the schedule is off.'),
      tags: textMap.describe('Nodes must match all; a value may end in :<count>. None: every node.'),
      metadata: textMap.describe('Labels to find jobs by.'),
      retries: count(0, RETRIES_MAX).describe('How often a failed attempt is tried again on the same node.'),
      parent_job: text.describe('The job after whose success this one runs.'),
      processors: z
        .record(
          z.string(),
          z.record(z.string(), z.string('a string'), 'an object whose values are strings'),
          'an object of objects',
        )
        .nullish()
        .describe('Stored for the sake of Dkron, and not applied.'),
      concurrency: z
        .enum(['allow', 'forbid', ''], 'allow, forbid')
        .nullish()
        .describe('Whether a run may start while another of the job is active.'),
      executor: text.describe('What does the work: shell, http, function.'),
      executor_config: z
        .record(z.string(), json, 'an object whose values are strings')
        .nullish()
        .describe("The executor's options, all strings, but for a function's input."),
      ephemeral: flag.describe('Whether the job is deleted after its first successful run.'),
      starts_at: text.describe('RFC 3339. Earlier instants are skipped.'),
      expires_at: text.describe('RFC 3339. Later instants are skipped.'),
      command: text.describe('Short for the shell executor with /bin/sh -c.'),
      targets: z
        .union([z.literal('all'), z.number().int()], `all, or a whole number from 1 to ${TARGETS_MAX}`)
        .nullish()
        .describe('On how many of the matching nodes it runs.'),
      start_within: text.describe('How long a run may wait for a free slot, such as 90s.'),
      on_lost: z
        .enum(['fail', 'retry', ''], 'fail, retry')
        .nullish()
        .describe('What becomes of an attempt whose node died.'),
      keep_runs: count(1, KEEP_RUNS_MAX).describe('How many finished runs are kept.'),
    },
    'an object',
  )
  .meta({ id: 'JobDocument' });

export type JobDocument = z.infer<typeof jobDocumentSchema>;

/** Clients of Dkron send a whole job back, with what only the server may say: taken and ignored. */
export const READ_ONLY_FIELDS: ReadonlySet<string> = new Set([
  'id',
  'success_count',
  'error_count',
  'last_success',
  'last_error',
  'dependent_jobs',
  'status',
  'next',
  'run',
  'uid',
  'zone',
  'created_at',
  'modified_index',
]);

/** Fields of a document that nothing here knows. */
export function unknownFields(document: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(document).filter((key) => !(key in jobDocumentSchema.shape) && !READ_ONLY_FIELDS.has(key));
}
