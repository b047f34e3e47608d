/** The shell's part in snapshots: gives the state to followers that are too far behind, and takes it from a leader. */
import { CodedError } from '../base/errors.ts';
import type { Log } from '../base/telemetry.ts';
import type { LogStore } from './log-store.ts';
import type { Raft } from './raft.ts';
import type { SnapshotPort } from './raft-protocol.ts';
import { SnapshotReceiver } from './snapshot-receiver.ts';
import { SnapshotSenders } from './snapshot-senders.ts';
import type { LogReset } from './types.ts';
import { decodeTransfer } from './wire.ts';

export interface SnapshotsOptions {
  readonly raft: Raft;
  readonly store: LogStore;
  readonly port: SnapshotPort;
  readonly send: (to: string, body: Uint8Array) => void;
  /** Runs a port's callback as part of a message to the actor. */
  readonly later: (run: () => void) => void;
  /** The core has work. */
  readonly onChange: () => void;
  readonly onInstalled: (reset: LogReset) => void;
  readonly log: Log;
}

export class Snapshots {
  readonly #options: SnapshotsOptions;
  readonly #receiver: SnapshotReceiver;
  readonly #senders: SnapshotSenders;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
    this.#receiver = this.#makeReceiver();
    this.#senders = this.#makeSenders();
  }

  takeFrame(from: string, body: Uint8Array): void {
    const { state } = this.#options.raft;
    const transfer = decodeTransfer(body);
    if (transfer?.type === 'snapshot-answer') this.#senders.answer(from, transfer);
    // A snapshot is only taken from the leader that this node follows. Others repeat theirs until it does.
    else if (transfer?.term === state.term && state.leader === from) this.#receiver.take(from, transfer);
  }

  sendTo(peer: string): void {
    const { term } = this.#options.raft.state;
    this.#options.log.info('raft: a follower is too far behind, sending it the state', { node: peer, term });
    this.#senders.start(peer, term);
  }

  tick(): void {
    this.#senders.tick();
  }

  /** This server leads no longer. */
  stopSending(): void {
    this.#senders.closeAll();
  }

  close(): void {
    this.#senders.closeAll();
    this.#receiver.close();
  }

  #makeSenders(): SnapshotSenders {
    const { raft, port, send, later, onChange } = this.#options;
    return new SnapshotSenders({
      port,
      send,
      placeOf: (index, term) => this.#placeOf(index, term),
      later,
      onEnd: (peer, index, isDone) => {
        raft.snapshotSent(peer, index, isDone);
        onChange();
      },
    });
  }

  #placeOf(index: number, term: number): LogReset | null {
    const { log } = this.#options.raft.state;
    if (!log.matches({ index, term })) return null;
    return { point: log.point(index), configuration: log.configurations.at(index) };
  }

  #makeReceiver(): SnapshotReceiver {
    const { raft, port, send, later, log, onInstalled } = this.#options;
    return new SnapshotReceiver({
      port,
      send,
      later,
      isWanted: (point) => point.index > raft.state.log.committed,
      begin: (reset, done) => this.#begin(reset, done),
      onInstalled,
      onUseless: () => raft.answerUselessSnapshot(),
      onFailed: (error) => {
        raft.installFailed();
        if (error instanceof CodedError && error.code === 'storage-failed') throw error;
        log.warn(`raft: a snapshot could not be taken: ${error.message}`);
      },
    });
  }

  #begin({ point, configuration }: LogReset, done: (isWanted: boolean) => void): void {
    const { raft, store, later } = this.#options;
    if (!raft.beginInstall(point)) {
      done(false);
      return;
    }
    store.noteInstall(point, configuration, (error) =>
      later(() => {
        if (error !== null) throw error;
        done(true);
      }),
    );
  }
}
