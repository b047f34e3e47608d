import { unreachable } from '../base/errors.ts';
import type { AskOutcome } from './actor.ts';
import { describeError } from './ask.ts';
import type { LinkBatch, LinkMessage, LinkPort } from './link-protocol.ts';
import type { ActorSystem } from './system.ts';

/**
 * One life of a link: a port, from its attachment to the death of the thread behind it. Answers are bound to the
 * connection their question came by, so a thread that was started anew never gets those of the thread before.
 *
 * What is under way is bounded: sends and asks by credit, which the other side gives back as it takes them; answers
 * by the asks of the other side; watches by its actors. Credit rides along with messages; alone it goes only when a
 * good part of it is owed, since a post costs as much as an answer.
 */
export class LinkConnection {
  readonly #system: ActorSystem;
  readonly #port: LinkPort;
  readonly #onAnswer: (id: number, outcome: AskOutcome<unknown>) => void;
  readonly #onStopped: (id: number) => void;
  readonly #onUncloneable: (message: LinkMessage) => void;
  /** Undoes the watches of the other side over actors here. */
  readonly #unwatches = new Map<number, () => void>();
  #outbox: LinkMessage[] = [];
  readonly #creditMax: number;
  #credit: number;
  #takenCount = 0;
  #isFlushDue = false;
  #isClosed = false;

  constructor(options: {
    readonly system: ActorSystem;
    readonly port: LinkPort;
    readonly creditMax: number;
    readonly onAnswer: (id: number, outcome: AskOutcome<unknown>) => void;
    readonly onStopped: (id: number) => void;
    /** A message that could not be posted, since it holds something that is not data. */
    readonly onUncloneable: (message: LinkMessage) => void;
  }) {
    this.#system = options.system;
    this.#port = options.port;
    this.#creditMax = options.creditMax;
    this.#credit = options.creditMax;
    this.#onAnswer = options.onAnswer;
    this.#onStopped = options.onStopped;
    this.#onUncloneable = options.onUncloneable;
  }

  /** Sends and asks that may not have arrived: those beyond the credit that the other side may still owe. */
  get underWay(): number {
    return Math.max(0, this.#creditMax - this.#credit - Math.floor(this.#creditMax / 32));
  }

  listen(): void {
    this.#port.on('message', (batch) => this.receive(batch));
  }

  /** False if too much is under way. */
  takeCredit(): boolean {
    if (this.#credit === 0) return false;
    this.#credit--;
    return true;
  }

  /** Posts at the end of the turn, together with all that comes until then. */
  post(message: LinkMessage): void {
    if (this.#isClosed) return;
    this.#outbox.push(message);
    this.#flushLater();
  }

  receive(batch: LinkBatch): void {
    if (this.#isClosed) return;
    this.#credit += batch.takenCount;
    for (const message of batch.messages) this.#take(message);
    if (this.#takenCount > this.#creditMax / 32) this.#flushLater();
  }

  /** Posts what is still to be said. */
  close(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#isClosed = true;
    this.#port.close();
    for (const unwatch of this.#unwatches.values()) unwatch();
    this.#unwatches.clear();
  }

  #take(message: LinkMessage): void {
    switch (message.type) {
      case 'send':
        this.#takenCount++;
        this.#takeSend(message.to, message.message);
        return;
      case 'ask':
        this.#takenCount++;
        this.#takeAsk(message.to, message.id, message.deadlineMs, message.message);
        return;
      case 'answer':
        this.#onAnswer(message.id, message.outcome);
        return;
      case 'watch':
        this.#takeWatch(message.to, message.id);
        return;
      case 'unwatch':
        this.#unwatches.get(message.id)?.();
        this.#unwatches.delete(message.id);
        return;
      case 'stopped':
        this.#onStopped(message.id);
        return;
      default:
        unreachable(message);
    }
  }

  #takeSend(name: string, message: unknown): void {
    const cell = this.#system.findCell(name);
    if (cell !== undefined) cell.send(message);
    else this.#system.deadLetters.add({ address: this.#addressOf(name), message, reason: 'stopped' });
  }

  #takeAsk(name: string, id: number, deadlineMs: number, message: unknown): void {
    const answer = (outcome: AskOutcome<never>) => this.post({ type: 'answer', id, outcome });
    const cell = this.#system.findCell(name);
    if (cell !== undefined) cell.ask(message, deadlineMs, answer);
    else answer({ type: 'failed', code: 'stopped', message: `there is no actor ${this.#addressOf(name)}` });
  }

  #takeWatch(name: string, id: number): void {
    const tell = () => {
      this.#unwatches.delete(id);
      this.post({ type: 'stopped', id });
    };
    const cell = this.#system.findCell(name);
    if (cell === undefined) tell();
    else this.#unwatches.set(id, cell.onStopped(tell));
  }

  #flushLater(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    this.#system.atTurnEnd(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#isClosed || (this.#outbox.length === 0 && this.#takenCount === 0)) return;
    const messages = this.#outbox;
    const takenCount = this.#takenCount;
    this.#outbox = [];
    this.#takenCount = 0;
    try {
      this.#port.postMessage({ messages, takenCount });
    } catch {
      // Cloning failed for one of them, and none was posted: find out which.
      this.#postOneByOne(messages, takenCount);
    }
  }

  #postOneByOne(messages: readonly LinkMessage[], takenCount: number): void {
    this.#port.postMessage({ messages: [], takenCount });
    for (const message of messages) {
      try {
        this.#port.postMessage({ messages: [message], takenCount: 0 });
      } catch (error) {
        this.#system.log.error('a message to another thread is not plain data', {
          actor: 'to' in message ? message.to : undefined,
          error: describeError(error),
        });
        this.#dropUncloneable(message);
      }
    }
  }

  #dropUncloneable(message: LinkMessage): void {
    if (message.type === 'send' || message.type === 'ask') this.#credit++;
    if (message.type !== 'answer') {
      this.#onUncloneable(message);
      return;
    }
    const reason = 'the actor answered with something that is not plain data';
    this.#port.postMessage({
      messages: [{ ...message, outcome: { type: 'failed', code: 'stopped', message: reason } }],
      takenCount: 0,
    });
  }

  #addressOf(name: string): string {
    return `${this.#system.thread}/${name}`;
  }
}
