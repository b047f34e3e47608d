/**
 * Which frames this life has seen, by the counts of their senders, so that none takes effect twice: not one that the
 * network doubles, nor one that somebody caught and sends again. Each thread of a node counts its own frames, over
 * all channels and receivers; channels overtake each other, so each has its own window on the counts.
 *
 * A frame that was lost here may have been caught elsewhere, and its count is new whenever it comes. So what is late
 * is refused too: what a thread sent before something else that was heard from it a minute ago, on whatever channel.
 * No clocks are compared for that.
 */
import type { Envelope, Thread } from './envelope.ts';
import { ReplayWindow } from './replay-window.ts';
import type { Channel } from './transport.ts';

export class SeenFrames {
  /** By nodeId; whoever was silent longest comes first. */
  readonly #senders = new Map<string, Sender>();

  /** True the first time. Only for envelopes that are proven and meant for this life. */
  take({ from, fromBoot, thread, channel, count }: Envelope, nowMs: number): boolean {
    let sender = this.#senders.get(from);
    if (sender === undefined || sender.boot < fromBoot) {
      sender = { boot: fromBoot, threads: new Map(), movedMs: nowMs };
      this.#moveLast(from, sender, nowMs);
    }
    if (fromBoot < sender.boot) return false;
    if (nowMs - sender.movedMs >= LATE_MS) this.#moveLast(from, sender, nowMs);
    let counts = sender.threads.get(thread);
    if (counts === undefined) {
      counts = new ThreadCounts(nowMs);
      sender.threads.set(thread, counts);
    }
    return counts.take(channel, count, nowMs);
  }

  /** Once in a while is enough to tell who is silent. What the node at the bound said could be said again. */
  #moveLast(from: string, sender: Sender, nowMs: number): void {
    sender.movedMs = nowMs;
    this.#senders.delete(from);
    this.#senders.set(from, sender);
    if (this.#senders.size <= SENDERS_MAX) return;
    for (const silent of this.#senders.keys()) {
      this.#senders.delete(silent);
      return;
    }
  }
}

/** A frame is late from 30 to 60 s after one that was sent behind it: far more than any that is only slow. */
export const LATE_MS = 30_000;
/** As many as `PeerBoots` remembers; each takes about a kilobyte per channel that it is heard on. */
export const SENDERS_MAX = 10_000;

interface Sender {
  readonly boot: number;
  readonly threads: Map<Thread, ThreadCounts>;
  movedMs: number;
}

/** What one thread of a sender's life has said. */
class ThreadCounts {
  readonly #windows = new Map<Channel, ReplayWindow>();
  #highest = 0;
  /** The highest at `#markMs`, which becomes what is late. */
  #mark = 0;
  #markMs: number;
  #late = 0;

  constructor(nowMs: number) {
    this.#markMs = nowMs;
  }

  take(channel: Channel, count: number, nowMs: number): boolean {
    if (nowMs - this.#markMs >= LATE_MS) this.#setMark(nowMs);
    if (count <= this.#late) return false;
    let window = this.#windows.get(channel);
    if (window === undefined) {
      window = new ReplayWindow();
      this.#windows.set(channel, window);
    }
    if (!window.take(count)) return false;
    this.#highest = Math.max(this.#highest, count);
    return true;
  }

  #setMark(nowMs: number): void {
    // The highest is younger than the mark by less than LATE_MS, since the next frame after that comes here.
    this.#late = nowMs - this.#markMs >= 2 * LATE_MS ? this.#highest : this.#mark;
    this.#mark = this.#highest;
    this.#markMs = nowMs;
  }
}
