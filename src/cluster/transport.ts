/**
 * The transport port: frames between nodes, with no promise at all (lost, doubled, late, reordered). What must arrive
 * is repeated by those who need it. Twins: `memory-transport.ts` here; NATS comes with the cluster issue. Frames are
 * whole envelopes (`envelope.ts`); a frame that is not addressed to this node's boot never reaches the listener.
 */
export type Channel = 'raft' | 'bulk' | 'exec' | 'alive' | 'leader' | 'forward';

export interface Arrival {
  readonly channel: Channel;
  /** nodeId of the sender. */
  readonly from: string;
  readonly fromBoot: number;
  readonly body: Uint8Array;
}

export interface Transport {
  /** Sends to one node, by nodeId. Nothing is buffered while the transport is down: the frame is dropped. */
  send(to: string, channel: Channel, body: Uint8Array): void;
  /** Sends to every node that listens (servers for `alive`, all for `leader`). */
  broadcast(channel: 'alive' | 'leader', body: Uint8Array): void;
  /** One listener for all channels. */
  onArrival(listener: (arrival: Arrival) => void): void;
  close(): Promise<void>;
}
