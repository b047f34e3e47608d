/** Who may belong to a simulated cluster. A name and an id mean the same in every seed, whoever takes part in it. */
import type { NodeConfig } from '../../src/node.ts';
import type { Plan } from './plan.ts';

export interface Member {
  readonly id: string;
  readonly name: string;
  readonly isServer: boolean;
  /** Which of the sources of randomness for nodes is its own. */
  readonly position: number;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
}

export const VOTERS_MAX = 7;
export const AGENTS_MAX = 3;
export const CLUSTER_UUID = 'c'.repeat(32);

/** The first so many servers vote from the start. */
export function membersOf({ voters, spares, agents }: Pick<Plan, 'voters' | 'spares' | 'agents'>): readonly Member[] {
  return [...SERVERS.slice(0, voters + spares), ...AGENTS.slice(0, agents)];
}

export function nameOf(id: string): string {
  return NAMES.get(id) ?? id;
}

export function configOf({ name, isServer, tags, slots }: Member, plan: Plan): NodeConfig {
  return {
    nodeName: name,
    cluster: 'sim',
    isServer,
    tags,
    slots: Math.min(slots, plan.slotsMax),
    formation: { clusterUuid: CLUSTER_UUID, voters: SERVERS.slice(0, plan.voters).map(({ id }) => id) },
    version: '0.0.0',
    address: '',
  };
}

function member(position: number, name: string, tags: Member['tags'], slots: number): Member {
  const id = (position + 1).toString(16).padStart(32, '0');
  return { id, name, isServer: position < VOTERS_MAX, position, tags, slots };
}

const SERVERS: readonly Member[] = [
  member(0, 's1', { my_role: 'web' }, 4),
  member(1, 's2', { my_role: 'db' }, 4),
  member(2, 's3', {}, 0),
  member(3, 's4', { my_role: 'web' }, 2),
  member(4, 's5', {}, 0),
  member(5, 's6', { my_role: 'db', zone: 'far' }, 1),
  member(6, 's7', {}, 0),
];

const AGENTS: readonly Member[] = [
  member(VOTERS_MAX, 'a1', { my_role: 'web' }, 6),
  member(VOTERS_MAX + 1, 'a2', { my_role: 'web', zone: 'far' }, 6),
  member(VOTERS_MAX + 2, 'a3', { zone: 'far' }, 2),
];

const NAMES: ReadonlyMap<string, string> = new Map([...SERVERS, ...AGENTS].map(({ id, name }) => [id, name]));
