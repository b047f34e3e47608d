/**
 * The leader's picture of who can take work: registered nodes, which of them live, and how many of their slots are
 * free. A slot is taken from the moment it is proposed, so that two commands in flight never count on the same one.
 */

import type { Random } from '../base/random.ts';
import type { Job } from '../jobs/job.ts';
import { type PlacementNode, parseTags, placeRun, type Tags, tagsOfNode } from '../jobs/placement.ts';
import type { Target } from './command.ts';
import { keys, type NodeRow } from './rows.ts';

interface Place {
  readonly row: NodeRow;
  readonly tags: Tags;
  isLive: boolean;
  /** Executions assigned and not finished, by committed entries. */
  readonly open: Set<string>;
  /** In commands that are proposed and not applied. */
  reserved: number;
}

export type Placed =
  | { readonly type: 'placed'; readonly targets: readonly Target[] }
  | { readonly type: 'no-target' | 'no-slot' };

export class Roster {
  readonly #places = new Map<string, Place>();

  /** Heard lately, registered here or not yet: liveness may come before the registry has been read. */
  #live: ReadonlySet<string> = new Set();

  /** Takes over what the registry says; what was open and reserved on the node stays. */
  register(row: NodeRow): void {
    const known = this.#places.get(row.node);
    this.#places.set(row.node, {
      row,
      tags: tagsOfNode(row),
      // A new session is proof of life; an old one must be heard of.
      isLive:
        row.isOpen &&
        (known === undefined ? this.#live.has(row.node) : known.isLive || known.row.session !== row.session),
      open: known?.open ?? new Set(),
      reserved: known?.reserved ?? 0,
    });
  }

  /** Exactly these are registered, as a sweep has found; what was `touched` meanwhile is known better here. */
  keepNodes(found: readonly NodeRow[], touched: ReadonlySet<string>): void {
    const nodes = new Set(found.map((row) => row.node));
    for (const node of this.#places.keys()) {
      if (!nodes.has(node) && !touched.has(keys.node(node))) this.forget(node);
    }
    for (const row of found) if (!touched.has(keys.node(row.node))) this.register(row);
  }

  forget(node: string): void {
    this.#places.delete(node);
  }

  setLive(node: string, isLive: boolean): void {
    const place = this.#places.get(node);
    if (place !== undefined) place.isLive = isLive && place.row.isOpen;
  }

  /** Exactly these were heard lately. */
  setAllLive(live: ReadonlySet<string>): void {
    this.#live = live;
    for (const node of this.#places.keys()) this.setLive(node, live.has(node));
  }

  opened(node: string, execution: string): void {
    this.#places.get(node)?.open.add(execution);
  }

  closed(node: string, execution: string): void {
    this.#places.get(node)?.open.delete(execution);
  }

  /** Exactly these are open, as a sweep of the rows has found; what was `touched` meanwhile is known better here. */
  keepOpen(found: ReadonlyMap<string, string>, touched: ReadonlySet<string>): void {
    for (const place of this.#places.values()) {
      for (const execution of place.open) {
        if (!found.has(execution) && !touched.has(execution)) place.open.delete(execution);
      }
    }
    for (const [execution, node] of found) if (!touched.has(execution)) this.opened(node, execution);
  }

  reserve(targets: readonly Target[]): void {
    for (const { node } of targets) {
      const place = this.#places.get(node);
      if (place !== undefined) place.reserved += 1;
    }
  }

  release(targets: readonly Target[]): void {
    for (const { node } of targets) {
      const place = this.#places.get(node);
      if (place !== undefined) place.reserved = Math.max(0, place.reserved - 1);
    }
  }

  /** Chooses nodes for a whole run, by tags, `targets` and free slots. */
  place(job: Job, defaultTargets: 'all' | number, random: Random): Placed {
    const tags = parseTags(job.tags);
    if (tags.type === 'fault') return { type: 'no-target' };
    const nodes = [...this.#places.values()].map(placementNode);
    const placement = placeRun({ nodes, tags, targets: job.targets, defaultTargets, random });
    if (placement.type !== 'placed') return { type: placement.type };
    return { type: 'placed', targets: placement.nodes.map((node) => this.#target(node)) };
  }

  /** Chooses one node for a target that is tried again: the one that must, or any that matches the job's tags. */
  placeOne(job: Job, node: string | null, random: Random): Placed {
    const tags = parseTags(job.tags);
    if (tags.type === 'fault') return { type: 'no-target' };
    const nodes = [...this.#places.values()]
      .map(placementNode)
      .filter((place) => node === null || place.nodeId === node);
    const conditions = node === null ? tags : { ...tags, conditions: {} };
    const placement = placeRun({ nodes, tags: { ...conditions, count: 1 }, targets: 1, defaultTargets: 1, random });
    if (placement.type !== 'placed') return { type: placement.type };
    return { type: 'placed', targets: placement.nodes.map((chosen) => this.#target(chosen)) };
  }

  /** Free slots of all live nodes: none free, nothing to place. */
  get hasFreeSlot(): boolean {
    for (const place of this.#places.values()) {
      if (place.isLive && place.row.slots > place.open.size + place.reserved) return true;
    }
    return false;
  }

  get rows(): readonly NodeRow[] {
    return [...this.#places.values()].map((place) => place.row);
  }

  clear(): void {
    this.#places.clear();
    this.#live = new Set();
  }

  #target(node: string): Target {
    return { node, session: (this.#places.get(node) as Place).row.session };
  }
}

function placementNode(place: Place): PlacementNode {
  const { row, tags, open, reserved, isLive } = place;
  return {
    nodeId: row.node,
    name: row.name,
    tags,
    slots: row.slots,
    freeSlots: Math.max(0, row.slots - open.size - reserved),
    isLive,
  };
}
