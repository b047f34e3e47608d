/** A job as Dkron shows it, with its zero values, and our fields beside them. */

import { formatDuration } from '../jobs/duration.ts';
import { writeInstant } from '../jobs/instant.ts';
import type { JobView } from '../scheduler/views.ts';
import { writeInstantOrNull, writeInstantOrZero } from './instant-text.ts';
import type { JsonOut } from './json-text.ts';

export type JobJson = Readonly<Record<string, JsonOut>>;

export function writeJob(view: JobView): JobJson {
  const { job } = view;
  return {
    id: job.name,
    name: job.name,
    displayname: job.displayName,
    timezone: job.timezone,
    schedule: job.schedule,
    owner: job.owner,
    owner_email: job.ownerEmail,
    success_count: view.successCount,
    error_count: view.errorCount,
    last_success: writeInstantOrNull(view.lastSuccessMs),
    last_error: writeInstantOrNull(view.lastErrorMs),
    disabled: job.disabled,
    tags: job.tags,
    metadata: job.metadata,
    retries: job.retries,
    dependent_jobs: view.dependentJobs.length === 0 ? null : view.dependentJobs,
    parent_job: job.parentJob,
    processors: job.processors ?? {},
    concurrency: job.concurrency,
    executor: job.executor,
    executor_config: job.executorConfig,
    status: view.status,
    next: writeInstantOrZero(view.nextMs),
    ephemeral: job.ephemeral,
    expires_at: writeInstantOrNull(job.expiresAtMs),
    starts_at: writeInstantOrNull(job.startsAtMs),
    targets: job.targets,
    start_within: job.startWithinMs === null ? null : formatDuration(job.startWithinMs),
    on_lost: job.onLost,
    keep_runs: job.keepRuns,
    uid: view.uid,
    zone: view.zone,
    created_at: writeInstant(view.createdMs),
    modified_index: view.modifiedIndex,
  };
}
