/** Tells the listener who leads and who agrees, each change once. */
import type { ActorRef } from '../actors/actor.ts';
import type { Log, Metrics } from '../base/telemetry.ts';
import type { PlacedConfiguration } from './configuration.ts';
import type { Configuration, RaftEvent, Role } from './raft-protocol.ts';
import type { RaftState } from './state.ts';

export interface AnnouncementsOptions {
  readonly state: RaftState;
  readonly listener: ActorRef<RaftEvent, unknown>;
  readonly metrics: Metrics;
  readonly log: Log;
  /** This server has another role, or another term. */
  readonly onRole: (role: Role) => void;
}

export class Announcements {
  readonly #options: AnnouncementsOptions;
  #role: { role: Role; term: number; leader: string | null; isReady: boolean } | null = null;
  #placed: PlacedConfiguration | null = null;
  #isCommitted = false;

  constructor(options: AnnouncementsOptions) {
    this.#options = options;
  }

  announce(): void {
    this.#announceConfiguration();
    this.#announceRole();
  }

  #announceRole(): void {
    const { state, listener, metrics, log, onRole } = this.#options;
    const { term, leader, termStart } = state;
    const role = roleOf(state);
    const isReady = role === 'leader' && state.log.handedOn >= termStart;
    const last = this.#role;
    if (last?.role === role && last.term === term && last.leader === leader && last.isReady === isReady) return;
    if (last === null || last.role !== role || last.term !== term) {
      onRole(role);
      log.info(`raft: ${role}`, { term, leader });
    }
    this.#role = { role, term, leader, isReady };
    metrics.gauge('carillon_raft_leader', role === 'leader' ? 1 : 0);
    metrics.gauge('carillon_raft_term', term);
    listener.send({ type: 'role', role, term, leader, isReady });
  }

  #announceConfiguration(): void {
    const { state, listener, log } = this.#options;
    const placed = state.log.configurations.latest;
    const isCommitted = state.isConfigurationCommitted;
    if (placed === this.#placed && isCommitted === this.#isCommitted) return;
    const { configuration, index } = placed;
    if (placed !== this.#placed) log.info('raft: configuration', { index, ...namesOf(configuration) });
    this.#placed = placed;
    this.#isCommitted = isCommitted;
    listener.send({ type: 'configuration', configuration, index, isCommitted });
  }
}

/** A pre-candidate is a candidate to everybody outside. */
export function roleOf({ role }: RaftState): Role {
  return role === 'pre-candidate' ? 'candidate' : role;
}

function namesOf({ voters, outgoing, learners }: Configuration): Record<string, string> {
  return {
    voters: voters.join(' '),
    outgoing: outgoing.join(' '),
    learners: learners.map(({ node }) => node).join(' '),
  };
}
