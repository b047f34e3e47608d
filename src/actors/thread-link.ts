import type { ActorRef, AskOutcome } from './actor.ts';
import { type AskGroup, failAll } from './ask.ts';
import type { DeadLetter } from './dead-letters.ts';
import type { WatchableRef } from './incarnation.ts';
import { LinkConnection } from './link-connection.ts';
import type { LinkBatch, LinkMessage, LinkPort } from './link-protocol.ts';
import type { ActorSystem } from './system.ts';

/** Sends and asks that may be under way to the other thread, not yet in a mailbox there. */
const CREDIT_MAX = 10_000;

export interface ThreadLinkOptions {
  readonly system: ActorSystem;
  /** The other thread's name. */
  readonly peer: string;
  /** Default 10,000. Beyond it a send is a dead letter and an ask fails with `mailbox-full`. */
  readonly creditMax?: number;
}

/**
 * One end of the link between two threads. It outlives the other thread: refs resolve by name through whatever port
 * is attached now. While none is, sends are dead letters, asks fail with `thread-died`, and watchers are told.
 */
export class ThreadLink {
  readonly peer: string;
  readonly #system: ActorSystem;
  readonly #creditMax: number;
  /** Asks of this thread that the other has not answered. */
  readonly #asks: AskGroup = new Map();
  /** Watches of this thread over actors of the other. */
  readonly #watches = new Map<number, () => void>();
  #connection: LinkConnection | undefined;
  #nextWatchId = 1;
  #downReason: string;

  constructor(options: ThreadLinkOptions) {
    this.peer = options.peer;
    this.#system = options.system;
    this.#creditMax = options.creditMax ?? CREDIT_MAX;
    this.#downReason = `thread ${options.peer} has not been started`;
  }

  get isAttached(): boolean {
    return this.#connection !== undefined;
  }

  /** A ref to an actor of the other thread, whether or not it exists yet. */
  ref<Message, Answer = never>(name: string): ActorRef<Message, Answer> {
    const ref: ActorRef<unknown, unknown> = new RemoteRef(this, name);
    return ref as ActorRef<Message, Answer>;
  }

  /** From here on messages can be posted; they wait in the port until the other side listens. */
  attach(port: LinkPort): void {
    this.detach(`thread ${this.peer} was replaced`);
    this.#connection = new LinkConnection({
      system: this.#system,
      port,
      creditMax: this.#creditMax,
      onAnswer: (id, outcome) => this.#asks.get(id)?.settle(outcome as AskOutcome<never>),
      onStopped: (id) => this.#tellStopped(id),
      onUncloneable: (message) => this.#loseUncloneable(message),
    });
  }

  /** Takes in what the other side posts; to be called when the actors of this side are there. */
  listen(): void {
    this.#connection?.listen();
  }

  /** For what is left in a port whose thread has died. */
  receive(batch: LinkBatch): void {
    this.#connection?.receive(batch);
  }

  /** The other thread is gone. Everyone here who waits for it is told at once. */
  detach(reason: string): void {
    this.#downReason = reason;
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    connection.close();
    if (connection.underWay > 0) {
      const fields = { thread: this.peer, count: connection.underWay };
      this.#system.log.warn('messages were under way to a thread that is gone; some may have arrived', fields);
    }
    failAll(this.#asks, 'thread-died', reason);
    for (const id of [...this.#watches.keys()]) this.#tellStopped(id);
  }

  send(name: string, message: unknown): void {
    const connection = this.#connection;
    if (connection === undefined) this.#lose(name, message, 'thread-died');
    else if (!connection.takeCredit()) this.#lose(name, message, 'link-full');
    else connection.post({ type: 'send', to: name, message });
  }

  ask(name: string, message: unknown, deadlineMs: number, done: (outcome: AskOutcome<never>) => void): void {
    const ask = this.#system.asks.open(this.#asks, `${this.peer}/${name}`, deadlineMs, done);
    if (ask === undefined) return;
    const connection = this.#connection;
    if (connection === undefined) {
      ask.fail('thread-died', this.#downReason);
    } else if (!connection.takeCredit()) {
      ask.fail('mailbox-full', `${this.#creditMax} messages are under way to thread ${this.peer}; try again later`);
    } else {
      connection.post({ type: 'ask', to: name, id: ask.id, deadlineMs, message });
    }
  }

  watch(name: string, run: () => void): () => void {
    if (this.#connection === undefined) {
      run();
      return () => {};
    }
    const id = this.#nextWatchId++;
    this.#watches.set(id, run);
    this.#connection.post({ type: 'watch', to: name, id });
    return () => {
      if (this.#watches.delete(id)) this.#connection?.post({ type: 'unwatch', id });
    };
  }

  #tellStopped(id: number): void {
    const run = this.#watches.get(id);
    this.#watches.delete(id);
    run?.();
  }

  #lose(name: string, message: unknown, reason: DeadLetter['reason']): void {
    this.#system.deadLetters.add({ address: `${this.peer}/${name}`, message, reason });
  }

  /** A mistake of ours: messages are plain data. It costs this message, not those that shared its batch. */
  #loseUncloneable(message: LinkMessage): void {
    if (message.type === 'send') this.#lose(message.to, message.message, 'not-cloneable');
    if (message.type === 'ask') {
      this.#asks.get(message.id)?.fail('stopped', `the question to ${this.peer}/${message.to} cannot be cloned`);
    }
  }
}

/** A ref to an actor of another thread. */
class RemoteRef implements ActorRef<unknown, unknown>, WatchableRef {
  readonly address: string;
  readonly #link: ThreadLink;
  readonly #name: string;

  constructor(link: ThreadLink, name: string) {
    this.address = `${link.peer}/${name}`;
    this.#link = link;
    this.#name = name;
  }

  send(message: unknown): void {
    this.#link.send(this.#name, message);
  }

  ask(message: unknown, deadlineMs: number, done: (outcome: AskOutcome<unknown>) => void): void {
    this.#link.ask(this.#name, message, deadlineMs, done);
  }

  onStopped(run: () => void): () => void {
    return this.#link.watch(this.#name, run);
  }
}
