/**
 * On which nodes a run goes. Tags say which nodes match, counts and `targets` how many of those are wanted; a run
 * waits for its full number rather than running on fewer nodes than there could be.
 */
import type { Fault } from '../base/errors.ts';
import type { Random } from '../base/random.ts';
import type { Job } from './job.ts';

export type Tags = Readonly<Record<string, string>>;

export interface ParsedTags {
  readonly type: 'tags';
  /** Without their counts; a node must carry all of them. */
  readonly conditions: Tags;
  /** The smallest of the counts, null where there is none. */
  readonly count: number | null;
}

export interface PlacementNode {
  readonly nodeId: string;
  readonly name: string;
  readonly tags: Tags;
  /** All slots it has; a node with none takes no work ever and so is no candidate. */
  readonly slots: number;
  readonly freeSlots: number;
  readonly isLive: boolean;
}

export type Placement =
  /** One node for each target, none twice, in random order. */
  | { readonly type: 'placed'; readonly nodes: readonly string[] }
  /** No live node matches. */
  | { readonly type: 'no-target' }
  /** Nodes match, and fewer than are wanted have a free slot. */
  | { readonly type: 'no-slot' };

export const COUNT_MAX = 1_000;

/** A value may end in `:<count>`. Dkron runs a job with a count that is no number nowhere; here it is a fault. */
export function parseTags(tags: Job['tags']): ParsedTags | { readonly type: 'fault'; readonly fault: Fault } {
  const conditions: [string, string][] = [];
  let count: number | null = null;
  for (const [key, text] of Object.entries(tags ?? {})) {
    const colon = text.lastIndexOf(':');
    if (colon < 0) {
      conditions.push([key, text]);
      continue;
    }
    const countText = text.slice(colon + 1);
    const wanted = /^[0-9]{1,4}$/.test(countText) ? Number(countText) : 0;
    if (wanted < 1 || wanted > COUNT_MAX) {
      const message = `the count after the last ':' must be 1 to ${COUNT_MAX}, not '${countText.slice(0, 40)}'`;
      return {
        type: 'fault',
        fault: {
          field: `tags.${key}`,
          value: text,
          allowed: `a value, or <value>:<count from 1 to ${COUNT_MAX}>`,
          message,
        },
      };
    }
    conditions.push([key, text.slice(0, colon)]);
    count = Math.min(count ?? wanted, wanted);
  }
  return { type: 'tags', conditions: Object.fromEntries(conditions), count };
}

/**
 * The tags of a node as members show them and as jobs select by them: those that it was started with, and two that
 * every node has, which win over others of that name.
 */
export function tagsOfNode(node: { readonly tags: Tags; readonly isServer: boolean; readonly version: string }): Tags {
  return { ...node.tags, server: String(node.isServer), version: node.version };
}

export function matchesTags(node: { readonly tags: Tags }, conditions: Tags): boolean {
  return Object.entries(conditions).every(([key, value]) => Object.hasOwn(node.tags, key) && node.tags[key] === value);
}

/**
 * How many nodes are wanted: the smaller of the tags' count and `targets`; where the job names neither, the
 * cluster's default.
 */
export function wantedTargets(
  count: number | null,
  targets: Job['targets'],
  defaultTargets: number | 'all',
): number | 'all' {
  if (count === null) return targets ?? defaultTargets;
  return typeof targets === 'number' ? Math.min(count, targets) : count;
}

/**
 * For `all`, every live matching node is a target, and the run waits until each of them has a free slot. For a
 * number, as many nodes with a free slot are drawn at random; where fewer nodes match, all of those are wanted.
 */
export function placeRun(request: {
  readonly nodes: readonly PlacementNode[];
  readonly tags: ParsedTags;
  readonly targets: Job['targets'];
  readonly defaultTargets: number | 'all';
  readonly random: Random;
}): Placement {
  const { nodes, tags, targets, defaultTargets, random } = request;
  const candidates = nodes.filter((node) => node.isLive && node.slots > 0 && matchesTags(node, tags.conditions));
  if (candidates.length === 0) return { type: 'no-target' };
  const wanted = wantedTargets(tags.count, targets, defaultTargets);
  const number = wanted === 'all' ? candidates.length : Math.min(wanted, candidates.length);
  const free = candidates.filter((node) => node.freeSlots > 0).map((node) => node.nodeId);
  return free.length < number ? { type: 'no-slot' } : { type: 'placed', nodes: draw(free, number, random) };
}

/** `number` of the items, each choice equally likely: the first steps of a shuffle. */
function draw(items: string[], number: number, random: Random): readonly string[] {
  for (let index = 0; index < number; index += 1) {
    const chosen = index + Math.floor(random() * (items.length - index));
    const item = items[chosen] as string;
    items[chosen] = items[index] as string;
    items[index] = item;
  }
  return items.slice(0, number);
}
