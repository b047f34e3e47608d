import type { Settings } from '../config.ts';
import { formatDuration } from '../jobs/duration.ts';
import type { Settings as ClusterSettings } from '../scheduler/settings.ts';

type OfCluster = Pick<ClusterSettings, 'defaultZone' | 'defaultTargets' | 'keepFiresMs'>;

/** A line for each setting of the cluster that was given, and differs from what the cluster has had since its start. */
export function describeDifferences(settings: OfCluster & Pick<Settings, 'given'>, stored: OfCluster): string[] {
  const rows = [
    ['default-zone', settings.defaultZone, stored.defaultZone],
    ['default-targets', String(settings.defaultTargets), String(stored.defaultTargets)],
    ['keep-fires', formatDuration(settings.keepFiresMs), formatDuration(stored.keepFiresMs)],
  ] as const;
  return rows
    .filter(([name, own, cluster]) => settings.given.has(name) && own !== cluster)
    .map(
      ([name, own, cluster]) =>
        `--${name} ${own} differs from the cluster's ${cluster} and changes nothing: it counts at the first start of a data directory only`,
    );
}
