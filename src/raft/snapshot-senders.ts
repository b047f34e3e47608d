/** The snapshots that a leader is sending: at most one to each follower. */
import type { SnapshotPort } from './raft-protocol.ts';
import { SnapshotSender } from './snapshot-sender.ts';
import type { LogReset } from './types.ts';
import type { SnapshotAnswer } from './wire.ts';

export interface SnapshotSendersOptions {
  readonly port: SnapshotPort;
  readonly send: (peer: string, body: Uint8Array) => void;
  readonly placeOf: (index: number, term: number) => LogReset | null;
  /** Runs a port's callback as part of a message to the actor. */
  readonly later: (run: () => void) => void;
  readonly onEnd: (peer: string, index: number, isDone: boolean) => void;
}

export class SnapshotSenders {
  readonly #options: SnapshotSendersOptions;
  readonly #senders = new Map<string, SnapshotSender>();
  #transfers = 0;

  constructor(options: SnapshotSendersOptions) {
    this.#options = options;
  }

  /** Begins anew if one is on its way. */
  start(peer: string, term: number): void {
    const { port, send, placeOf, later, onEnd } = this.#options;
    this.#senders.get(peer)?.close();
    this.#transfers += 1;
    const sender = new SnapshotSender({
      term,
      // Unique among the transfers of a term, across restarts too: a term has one leader, and a restart ends it.
      transfer: this.#transfers,
      port,
      send: (body) => send(peer, body),
      placeOf,
      later,
      onEnd: (index, isDone) => {
        this.#senders.delete(peer);
        onEnd(peer, index, isDone);
      },
    });
    this.#senders.set(peer, sender);
  }

  answer(peer: string, answer: SnapshotAnswer): void {
    this.#senders.get(peer)?.answer(answer);
  }

  tick(): void {
    for (const sender of [...this.#senders.values()]) sender.tick();
  }

  closeAll(): void {
    for (const sender of this.#senders.values()) sender.close();
    this.#senders.clear();
  }
}
