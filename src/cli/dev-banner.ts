import type { Settings } from '../config.ts';
import type { DevNode } from './dev-node.ts';
import { SAMPLE_JOB } from './dev-sample.ts';

/** What `dev` prints once it is up: where it is and what to try next. */
export function describeStart(settings: Settings, node: DevNode, hasSample: boolean): string {
  const lines = [
    '',
    `  carillon ${node.version}: node ${settings.nodeName} of cluster ${settings.cluster} is up after ${node.startMs} ms`,
    '',
    `  HTTP   ${node.url}`,
    node.natsUrl === null
      ? '  NATS   none: put a nats-server on the PATH or give --nats-url to have the request/reply API'
      : `  NATS   ${node.natsUrl}`,
    node.isTemporary
      ? `  Data   ${node.directory} (temporary: it is removed at the stop; give --data-dir to keep it)`
      : `  Data   ${node.directory}`,
    '',
    '  Try:',
  ];
  const { apiTokenFile } = settings;
  if (apiTokenFile !== '') lines.push(`    export CARILLON_TOKEN="$(cat '${apiTokenFile}')"`);
  if (hasSample) {
    lines.push(
      `    npx carillon job executions ${SAMPLE_JOB}      what it did so far`,
      `    npx carillon job fires ${SAMPLE_JOB}           each nominal time with its outcome`,
      `    curl ${tokenHeader(apiTokenFile)}${node.url}/v1/jobs/${SAMPLE_JOB}/executions`,
    );
  }
  lines.push(
    `    npx carillon job put --name first --schedule '@every 5s' --command 'date' && npx carillon job run first`,
  );
  if (node.natsUrl !== null) {
    lines.push(
      `    nats req --server '${node.natsUrl}' carillon.${settings.cluster}.api.job.list '{}'      with the nats CLI`,
    );
  }
  lines.push('', '  Ctrl-C stops it.', '', '');
  return lines.join('\n');
}

function tokenHeader(apiTokenFile: string): string {
  return apiTokenFile === '' ? '' : '-H "Authorization: Bearer $CARILLON_TOKEN" ';
}
