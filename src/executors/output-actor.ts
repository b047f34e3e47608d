/**
 * On each server: keeps full output tails that nodes send, and says so once they are durable; finds for readers those
 * that other servers keep.
 *
 *   chunk ─► assembly ─whole─► pending ─► one batch at a time ─durable─► output-stored to the node
 *                                             └ over the job's budget: oldest are deleted ┘
 *   find ─► here? ─no─► output-wanted to all other servers ─► output-copy of the first that has it
 *
 * Live output is not its business. Whoever wants only what lies here calls `readOutput` on the same storage.
 */

import type { Actor, ActorContext, Reply } from '../actors/actor.ts';
import { unreachable } from '../base/errors.ts';
import type { Row, Storage, Write } from '../store/storage.ts';
import { endOfPrefix } from '../store/storage.ts';
import { OutputAssembly } from './output-assembly.ts';
import { type OutputQuestion, OutputSearch } from './output-search.ts';
import {
  deleteOutput,
  hasOutput,
  jobOutputBytes,
  OUTPUT_JOB_BYTES_MAX,
  orderPrefix,
  putJobOutputBytes,
  putOutput,
  readOutput,
  uidOfExecution,
} from './output-store.ts';
import { OutputSweep } from './output-sweep.ts';
import type { BetweenOutputs, OutputChunk, OutputStored } from './protocol.ts';

export type OutputMessage =
  | { readonly type: 'chunk'; readonly node: string; readonly chunk: OutputChunk }
  /** Its job is deleted: all its tails go. */
  | { readonly type: 'forget-job'; readonly uid: string }
  /** Asked: {@link OutputAnswer}. */
  | (OutputQuestion & { readonly type: 'find' })
  | { readonly type: 'from-server'; readonly server: string; readonly message: BetweenOutputs }
  // To itself.
  | { readonly type: 'sweep' }
  | { readonly type: 'swept'; readonly error: Error | null; readonly gone: readonly string[] }
  | { readonly type: 'stored'; readonly error: Error | null }
  | { readonly type: 'oldest'; readonly error: Error | null; readonly rows: readonly Row[] }
  | { readonly type: 'trimmed'; readonly error: Error | null }
  | { readonly type: 'beat' };

export interface OutputAnswer {
  readonly type: 'output';
  /** Null: no server that answered in time has it. */
  readonly bytes: Uint8Array | null;
}

export interface OutputActorOptions {
  /** This server's node id. */
  readonly server: string;
  /** The store `output/`. */
  readonly storage: Storage;
  /** Fire and forget: the node sends its tail again until this arrives. */
  readonly toNode: (node: string, message: OutputStored) => void;
  /** The other servers. */
  readonly others: () => readonly string[];
  /** To the output actor of another server; may get lost. */
  readonly toServer: (server: string, message: BetweenOutputs) => void;
  /** Whether a job was deleted, by the state on this server's disk. False for one that it has not heard of yet. */
  readonly isGone: (uid: string) => boolean;
  /** Default 10 MB. */
  readonly jobBytesMax?: number;
}

const ASSEMBLY_BYTES_MAX = 64 * 1024 * 1024;
const PENDING_BYTES_MAX = 64 * 1024 * 1024;
const BATCH_BYTES_MAX = 8 * 1024 * 1024;
const TRIM_ROWS = 256;
/** Tails of jobs that are gone are looked for so often. */
const SWEEP_MS = 60_000;
/** Waits for tails end by this beat. */
const BEAT_MS = 50;

interface Pending {
  readonly execution: string;
  readonly bytes: Uint8Array;
  readonly nodes: Set<string>;
}

export function createOutputActor(
  options: OutputActorOptions,
): (context: ActorContext<OutputMessage, OutputAnswer>) => Actor<OutputMessage, OutputAnswer> {
  return (context) => new OutputActor(options, context);
}

class OutputActor implements Actor<OutputMessage, OutputAnswer> {
  readonly #options: OutputActorOptions;
  readonly #context: ActorContext<OutputMessage, OutputAnswer>;
  readonly #jobBytesMax: number;
  readonly #assembly = new OutputAssembly(ASSEMBLY_BYTES_MAX);
  /** Whole, not yet durable; the first of them may be in the batch that is on its way. */
  readonly #pending = new Map<string, Pending>();
  #pendingBytes = 0;
  #batch: readonly Pending[] = [];
  /** Jobs above their budget, or to be forgotten: what may stay, in bytes. */
  readonly #trims = new Map<string, number>();
  #trimming: string | null = null;
  #isBusy = false;
  readonly #search: OutputSearch;
  readonly #gone: OutputSweep;
  #isBeating = false;

  constructor(options: OutputActorOptions, context: ActorContext<OutputMessage, OutputAnswer>) {
    this.#options = options;
    this.#context = context;
    this.#jobBytesMax = options.jobBytesMax ?? OUTPUT_JOB_BYTES_MAX;
    const { storage, others, toServer, isGone } = options;
    const read = (execution: string) => this.#pending.get(execution)?.bytes ?? readOutput(storage, execution);
    this.#search = new OutputSearch({ read, others, toServer });
    this.#gone = new OutputSweep(storage, isGone);
    context.after(SWEEP_MS, { type: 'sweep' });
  }

  receive(message: OutputMessage, reply: Reply<OutputAnswer>): void {
    switch (message.type) {
      case 'chunk':
        this.#onChunk(message.node, message.chunk);
        return this.#next();
      case 'forget-job':
        this.#trims.set(message.uid, 0);
        return this.#next();
      case 'find':
        return this.#find(message, reply);
      case 'from-server':
        this.#search.hear(message.server, message.message, this.#context.clock.monotonic());
        return this.#keepBeating();
      case 'beat':
        return this.#beat();
      case 'sweep':
        return this.#gone.page((error, gone) => this.#context.self.send({ type: 'swept', error, gone }));
      case 'swept':
        return this.#swept(message.error, message.gone);
      case 'stored':
        this.#onStored(message.error);
        return this.#next();
      case 'oldest':
        return this.#onOldest(message.error, message.rows);
      case 'trimmed':
        this.#settle(message.error);
        return this.#next();
      default:
        return unreachable(message);
    }
  }

  #onChunk(node: string, chunk: OutputChunk): void {
    const { execution } = chunk;
    const pending = this.#pending.get(execution);
    if (pending !== undefined) {
      pending.nodes.add(node);
      return;
    }
    if (hasOutput(this.#options.storage, execution)) return this.#sayStored(execution, node);
    const bytes = this.#assembly.add(chunk);
    if (bytes === null) return;
    this.#search.arrived(execution, bytes);
    if (this.#pendingBytes + bytes.length > PENDING_BYTES_MAX) {
      // The disk is behind. The node keeps the tail and sends it again.
      this.#context.log.warn('output store is behind: a tail is left to its node for now', { execution });
      return;
    }
    this.#pending.set(execution, { execution, bytes, nodes: new Set([node]) });
    this.#pendingBytes += bytes.length;
  }

  #find(question: OutputQuestion, reply: Reply<OutputAnswer>): void {
    this.#search.find(question, this.#context.clock.monotonic(), (bytes) => reply({ type: 'output', bytes }));
    this.#keepBeating();
  }

  #keepBeating(): void {
    if (this.#isBeating || !this.#search.isWaiting) return;
    this.#isBeating = true;
    this.#context.after(BEAT_MS, { type: 'beat' });
  }

  #beat(): void {
    this.#isBeating = false;
    this.#search.expire(this.#context.clock.monotonic());
    this.#keepBeating();
  }

  #swept(error: Error | null, gone: readonly string[]): void {
    if (error !== null) throw error;
    for (const uid of gone) this.#trims.set(uid, 0);
    this.#context.after(SWEEP_MS, { type: 'sweep' });
    this.#next();
  }

  /** One thing at a time, so that the byte counts of jobs are read after the write that changed them. */
  #next(): void {
    if (this.#isBusy) return;
    if (this.#trims.size > 0) this.#startTrim();
    else if (this.#pending.size > 0) this.#store();
  }

  #store(): void {
    const batch: Pending[] = [];
    const writes: Write[] = [];
    const jobBytes = new Map<string, number>();
    const nowMs = this.#context.clock.now();
    let bytes = 0;
    for (const pending of this.#pending.values()) {
      if (bytes >= BATCH_BYTES_MAX) break;
      bytes += pending.bytes.length;
      batch.push(pending);
      writes.push(...putOutput(pending.execution, pending.bytes, nowMs));
      const uid = uidOfExecution(pending.execution);
      const before = jobBytes.get(uid) ?? jobOutputBytes(this.#options.storage, uid);
      jobBytes.set(uid, before + pending.bytes.length);
    }
    for (const [uid, total] of jobBytes) {
      writes.push(putJobOutputBytes(uid, total));
      if (total > this.#jobBytesMax) this.#trims.set(uid, this.#jobBytesMax);
    }
    this.#batch = batch;
    this.#isBusy = true;
    this.#options.storage.write(writes, (error) => this.#context.self.send({ type: 'stored', error }));
  }

  #onStored(error: Error | null): void {
    this.#settle(error);
    for (const { execution, bytes, nodes } of this.#batch) {
      this.#pending.delete(execution);
      this.#pendingBytes -= bytes.length;
      for (const node of nodes) this.#sayStored(execution, node);
    }
    this.#batch = [];
  }

  #startTrim(): void {
    const [uid] = this.#trims.keys();
    if (uid === undefined) return;
    this.#trimming = uid;
    this.#isBusy = true;
    const range = { from: orderPrefix(uid), to: endOfPrefix(orderPrefix(uid)), limit: TRIM_ROWS };
    this.#options.storage.scan(range, (error, rows) => this.#context.self.send({ type: 'oldest', error, rows }));
  }

  #onOldest(error: Error | null, rows: readonly Row[]): void {
    if (error !== null) throw error;
    const uid = this.#trimming ?? '';
    const bytesMax = this.#trims.get(uid) ?? 0;
    let total = jobOutputBytes(this.#options.storage, uid);
    const writes: Write[] = [];
    for (const row of rows) {
      if (total <= bytesMax && bytesMax > 0) break;
      const { writes: deletes, freedBytes } = deleteOutput(this.#options.storage, row.key);
      writes.push(...deletes);
      total -= freedBytes;
    }
    // Above the limit of rows there may be more: the same job comes again.
    if (total <= bytesMax || rows.length < TRIM_ROWS) this.#trims.delete(uid);
    writes.push(putJobOutputBytes(uid, total));
    this.#options.storage.write(writes, (failure) => this.#context.self.send({ type: 'trimmed', error: failure }));
  }

  #settle(error: Error | null): void {
    // Supervision stops the process: nothing is acknowledged after a storage error (P7).
    if (error !== null) throw error;
    this.#isBusy = false;
  }

  #sayStored(execution: string, node: string): void {
    this.#options.toNode(node, { type: 'output-stored', execution, server: this.#options.server });
  }
}
