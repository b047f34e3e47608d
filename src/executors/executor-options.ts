import type { Storage } from '../store/storage.ts';
import type { Executor } from './executor.ts';
import type { NodeStoreState } from './node-store.ts';
import type { OutboxLimits } from './outbox.ts';
import type { FromNode, OutputChunk } from './protocol.ts';

/** What an executor actor is given: who it is, its ports, its bounds. */
export interface ExecutorActorOptions {
  /** This node's id, and its boot. */
  readonly node: string;
  readonly boot: number;
  readonly name: string;
  readonly isServer: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly slots: number;
  readonly version: string;
  readonly address: string;
  readonly executors: ReadonlyMap<string, Executor>;
  /** The node's own store, and what `openNodeStore` read from it. */
  readonly storage: Storage;
  readonly stored: NodeStoreState;
  /** Fire and forget, as everything between nodes. */
  readonly toLeader: (leader: string, message: FromNode) => void;
  readonly toServer: (server: string, message: OutputChunk) => void;
  /** nodeIds of the cluster's servers as far as this node knows; at least one. */
  readonly servers: () => readonly string[];
  /** Default 5,000. */
  readonly leaseMs?: number;
  /** Default 1,000. */
  readonly heartbeatMs?: number;
  /** Attempts that may wait for a slot or their time. Default 10,000. */
  readonly queueMax?: number;
  /** Default 256,000. */
  readonly outputBytesMax?: number;
  readonly outboxLimits?: OutboxLimits;
}
