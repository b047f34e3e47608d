/**
 * The transport port: frames between nodes, which may get lost, late and reordered. What must arrive is repeated by
 * those who need it, and a repeated body arrives again: whoever listens must bear that. Twins: `memory-transport.ts`,
 * `nats-transport.ts`. Frames are whole envelopes (`envelope.ts`); one that is not addressed to this node's boot never
 * reaches the listener, and none reaches it twice, whether the network doubles it or somebody caught it and sends it
 * again. One that some 4,000 later frames of its sender on its channel have overtaken, or any a minute ago, is lost.
 *
 * `raft` agreement · `bulk` snapshots · `exec` orders to a node's executor, output chunks to a server · `report` what
 * nodes tell the leader · `forward` calls handed on between servers · `leader` the beacon · `alive` see `hall.ts`.
 */
export type Channel = 'raft' | 'bulk' | 'exec' | 'alive' | 'leader' | 'forward' | 'report';

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
  /** Sends to every node of the cluster that listens, the sender too. */
  broadcast(channel: 'leader', body: Uint8Array): void;
  /** One listener for all channels. */
  onArrival(listener: (arrival: Arrival) => void): void;
  /**
   * One listener for hints that nobody listens any more where a frame was sent: its process is probably dead. Never a
   * proof, may come late or not at all, and only after a frame on `raft`.
   */
  onUnreachable(listener: (nodeId: string) => void): void;
  close(): Promise<void>;
}
