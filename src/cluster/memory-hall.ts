import { strict as assert } from 'node:assert';
import type { EnvelopeRefusal } from './envelope.ts';
import type { Hall, Word } from './hall.ts';
import type { Channel } from './transport.ts';
import { openWord, type Speaker, sealWord } from './words.ts';

/** What a hall needs of its network. */
export interface HallNetwork {
  say(frame: Uint8Array): void;
  isUp(): boolean;
  leave(): void;
}

/** One life of a node in the hall of a `MemoryNetwork`. */
export class MemoryHall implements Hall {
  readonly #speaker: Speaker;
  readonly #network: HallNetwork;
  #listener: ((word: Word) => void) | undefined;
  #isInside = true;

  constructor(speaker: Speaker, network: HallNetwork) {
    this.#speaker = speaker;
    this.#network = network;
  }

  get nodeId(): string {
    return this.#speaker.nodeId;
  }

  get isOpen(): boolean {
    return this.#isInside && this.#network.isUp();
  }

  say(body: Uint8Array): void {
    if (this.#isInside) this.#network.say(sealWord(this.#speaker, body));
  }

  onWord(listener: (word: Word) => void): void {
    assert(this.#listener === undefined, 'a hall has one listener');
    this.#listener = listener;
  }

  close(): Promise<void> {
    this.leave();
    return Promise.resolve();
  }

  leave(): void {
    this.#isInside = false;
    this.#network.leave();
  }

  hears(channel: Channel): boolean {
    return channel === 'alive';
  }

  arrive(frame: Uint8Array): EnvelopeRefusal | undefined {
    const heard = openWord(this.#speaker, frame);
    if (heard.type === 'refused') return heard.reason;
    this.#listener?.(heard.word);
    return undefined;
  }
}
