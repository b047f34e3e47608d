/** Which configuration is in force, and which was at an earlier place of the log. */
import { strict as assert } from 'node:assert';
import { decodeConfiguration, NO_CONFIGURATION, type PlacedConfiguration } from './configuration.ts';
import type { Configuration } from './raft-protocol.ts';
import type { LogEntry } from './types.ts';

/**
 * A configuration is in force from the moment its entry stands in the log, committed or not, and no longer once that
 * entry is cut off (thesis §4.1). So they are kept with the log: the one in force at its base and all above. What the
 * hot path asks is computed once per configuration.
 */
export class Configurations {
  #placed: PlacedConfiguration[];
  #latest: PlacedConfiguration = NO_CONFIGURATION;
  #voters: readonly string[] = [];
  #members: readonly string[] = [];

  constructor(placed: readonly PlacedConfiguration[]) {
    this.#placed = placed.length > 0 ? [...placed] : [NO_CONFIGURATION];
    this.#update();
  }

  /** The newest, which is the one in force. */
  get latest(): PlacedConfiguration {
    return this.#latest;
  }

  /** Of both sides of a change, ascending, so that every run of one seed sends in the same order. */
  get voters(): readonly string[] {
    return this.#voters;
  }

  /** The voters and the learners, ascending. */
  get members(): readonly string[] {
    return this.#members;
  }

  /** The one in force at a place that is not compacted. */
  at(index: number): PlacedConfiguration {
    const found = this.#placed.findLast((placed) => placed.index <= index);
    assert(found !== undefined, `raft: the configuration at ${index} is compacted`);
    return found;
  }

  /** Entries that now stand at the end of the log, instead of what stood at their places and behind. */
  take(entries: readonly LogEntry[], baseIndex: number): void {
    const first = entries[0];
    if (first === undefined) return;
    const isCut = this.#latest.index >= first.index;
    if (isCut) this.#placed = this.#placed.filter((placed) => placed.index < first.index);
    let isNew = isCut;
    for (const entry of entries) {
      if (entry.kind !== 'configuration') continue;
      this.#placed.push({ configuration: read(entry), index: entry.index });
      isNew = true;
    }
    if (!isNew) return;
    // Of those at or below the base only the newest can be asked for again.
    const inForce = this.#placed.findLastIndex((placed) => placed.index <= baseIndex);
    if (inForce > 0) this.#placed.splice(0, inForce);
    this.#update();
  }

  /** The log starts anew after a snapshot. */
  restart(placed: PlacedConfiguration): void {
    this.#placed = [placed];
    this.#update();
  }

  #update(): void {
    const latest = this.#placed[this.#placed.length - 1];
    assert(latest !== undefined, 'raft: a log without a configuration');
    const { voters, outgoing, learners } = latest.configuration;
    this.#latest = latest;
    this.#voters = ascending([...voters, ...outgoing]);
    this.#members = ascending([...this.#voters, ...learners.map(({ node }) => node)]);
  }
}

/** It was checked before it was appended: one that cannot be read was written by a newer server, or is our mistake. */
function read(entry: LogEntry): Configuration {
  const configuration = decodeConfiguration(entry.data);
  assert(configuration !== undefined, `raft: the configuration in entry ${entry.index} cannot be read`);
  return configuration;
}

function ascending(names: readonly string[]): readonly string[] {
  return [...new Set(names)].sort();
}
