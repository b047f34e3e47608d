/**
 * How many bytes may be on their way to a server that has not confirmed to have read them. TCP would let a socket
 * buffer grow without a bound when the server stands still; what does not fit here is dropped instead.
 *
 * From time to time the sender sets a mark (a ping behind what it sent); when the mark is confirmed, all before it
 * was read. One mark is out at a time.
 */
export class SendWindow {
  readonly #bytesMax: number;
  readonly #markEveryBytes: number;
  #marked = 0;
  #unmarked = 0;

  constructor({ bytesMax, markEveryBytes }: { readonly bytesMax: number; readonly markEveryBytes: number }) {
    this.#bytesMax = bytesMax;
    this.#markEveryBytes = markEveryBytes;
  }

  /** False: no room, do not send. */
  take(bytes: number): boolean {
    if (this.#marked + this.#unmarked + bytes > this.#bytesMax) return false;
    this.#unmarked += bytes;
    return true;
  }

  /** True: set a mark now, and call `confirm` once it is confirmed. */
  mark(): boolean {
    if (this.#marked > 0 || this.#unmarked < this.#markEveryBytes) return false;
    this.#marked = this.#unmarked;
    this.#unmarked = 0;
    return true;
  }

  confirm(): void {
    this.#marked = 0;
  }

  /** A new connection: nothing is on its way. */
  reset(): void {
    this.#marked = 0;
    this.#unmarked = 0;
  }
}
