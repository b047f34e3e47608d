import { strict as assert } from 'node:assert';
import type { Channel } from './transport.ts';

/** The subjects between nodes of one cluster name, as docs/architecture.md lists them. */
export class Subjects {
  readonly #prefix: string;

  constructor(clusterName: string) {
    assert(/^[^\s.*>]+$/.test(clusterName), `not one token of a subject: '${clusterName}'`);
    this.#prefix = `carillon.${clusterName}`;
  }

  /** `to` is a nodeId; on `alive` and `leader`, which all hear, it does not matter. */
  of(channel: Channel, to: string): string {
    if (channel === 'alive' || channel === 'leader') return `${this.#prefix}.${channel}`;
    // The 0 is the Raft group.
    return channel === 'raft' ? `${this.#prefix}.raft.0.${to}` : `${this.#prefix}.${channel}.${to}`;
  }

  /** Below it, NATS itself answers frames that nobody listened for. */
  get unheard(): string {
    return `${this.#prefix}.unheard`;
  }
}
