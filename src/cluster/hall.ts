/**
 * The hall port: where everybody under one cluster name hears everybody, before a cluster uuid is known and after.
 * Nodes say here who they are; clusters form here; a second life of a node or a second cluster of the name is noticed
 * here. Like a transport it promises nothing. Twins: `memory-hall.ts`, `nats-hall.ts`.
 *
 * A word is an envelope on channel `alive` with cluster `NOBODY`, addressed to nobody in particular.
 */
export interface Word {
  /** nodeId of who said it. */
  readonly from: string;
  readonly fromBoot: number;
  readonly body: Uint8Array;
}

export interface Hall {
  /** Heard by all, the speaker too. Dropped while the hall is unreachable. */
  say(body: Uint8Array): void;
  /** One listener. */
  onWord(listener: (word: Word) => void): void;
  /** Whether what is said now can be heard; false while NATS is away. */
  readonly isOpen: boolean;
  close(): Promise<void>;
}
