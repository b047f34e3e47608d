/** The first bytes of a body, for the expression that judges it; what comes behind is not kept. */
export class BodyStart {
  readonly #bytesMax: number;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  write(bytes: Uint8Array): void {
    const room = this.#bytesMax - this.#bytes;
    if (room <= 0) return;
    // A copy where it is cut, so that the rest can go.
    const part = bytes.length <= room ? bytes : Uint8Array.from(bytes.subarray(0, room));
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  /** A character that was cut in two is left out. */
  text(): string {
    const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
    return decoder.decode(Buffer.concat(this.#parts), { stream: true });
  }
}
