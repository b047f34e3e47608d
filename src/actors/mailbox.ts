import type { WhenFull } from './actor.ts';

const SLOTS_START = 16;

/**
 * The messages that wait for one actor, in order, each with the ask it belongs to (if any) and when it came. Three
 * arrays instead of an object per message: nothing is allocated for a message that is sent and handled.
 */
export class Mailbox<Ask> {
  readonly capacity: number;
  readonly #whenFull: WhenFull;
  readonly #onLost: (message: unknown, ask: Ask | undefined) => void;
  #messages: unknown[] = new Array<unknown>(SLOTS_START);
  #asks: (Ask | undefined)[] = new Array<Ask | undefined>(SLOTS_START);
  #stampsMs = new Float64Array(SLOTS_START);
  #head = 0;
  #size = 0;

  /** `onLost` gets what was refused, or dropped for something newer. */
  constructor(options: {
    readonly capacity: number;
    readonly whenFull: WhenFull;
    readonly onLost: (message: unknown, ask: Ask | undefined) => void;
  }) {
    this.capacity = options.capacity;
    this.#whenFull = options.whenFull;
    this.#onLost = options.onLost;
  }

  get size(): number {
    return this.#size;
  }

  /** The ask of the message that `shift` takes next. */
  get headAsk(): Ask | undefined {
    return this.#asks[this.#head];
  }

  /** When the oldest message came; undefined for an empty mailbox. */
  get oldestStampMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#stampsMs[this.#head];
  }

  /** False if the message was refused. */
  push(message: unknown, ask: Ask | undefined, stampMs: number): boolean {
    if (this.#size >= this.capacity) {
      if (this.#whenFull === 'refuse') {
        this.#onLost(message, ask);
        return false;
      }
      const oldestAsk = this.headAsk;
      this.#onLost(this.shift(), oldestAsk);
    }
    if (this.#size === this.#messages.length) this.#grow();
    const slot = (this.#head + this.#size) & (this.#messages.length - 1);
    this.#messages[slot] = message;
    this.#asks[slot] = ask;
    this.#stampsMs[slot] = stampMs;
    this.#size++;
    return true;
  }

  /** Takes the oldest message; only to be called when there is one. */
  shift(): unknown {
    const slot = this.#head;
    const message = this.#messages[slot];
    this.#messages[slot] = undefined;
    this.#asks[slot] = undefined;
    this.#head = (slot + 1) & (this.#messages.length - 1);
    this.#size--;
    return message;
  }

  #grow(): void {
    const length = this.#messages.length;
    const messages = new Array<unknown>(length * 2);
    const asks = new Array<Ask | undefined>(length * 2);
    const stampsMs = new Float64Array(length * 2);
    for (let index = 0; index < this.#size; index++) {
      const slot = (this.#head + index) & (length - 1);
      messages[index] = this.#messages[slot];
      asks[index] = this.#asks[slot];
      stampsMs[index] = this.#stampsMs[slot] ?? 0;
    }
    this.#messages = messages;
    this.#asks = asks;
    this.#stampsMs = stampsMs;
    this.#head = 0;
  }
}
