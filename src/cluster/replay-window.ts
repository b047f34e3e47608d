/**
 * Which counts of one sender have come: each is taken once, in any order, unless it is too far behind the highest. A
 * ring of bits, moved on by whole blocks (as RFC 6479 does it for IPsec), so that a step costs the same however far
 * counts lie apart.
 */
export class ReplayWindow {
  readonly #blocks = new Uint32Array(BLOCKS);
  /** Of the highest count. */
  #newest = 0;

  /** True the first time, for a whole number from 0 to 2^48 - 1. */
  take(count: number): boolean {
    const block = Math.floor(count / BLOCK_BITS);
    if (block <= this.#newest - BLOCKS) return false;
    this.#moveTo(block);
    const place = block % BLOCKS;
    const bit = 1 << (count % BLOCK_BITS);
    const taken = this.#blocks[place] ?? 0;
    if ((taken & bit) !== 0) return false;
    this.#blocks[place] = taken | bit;
    return true;
  }

  /** Blocks that come into the ring forget what their places held. */
  #moveTo(block: number): void {
    if (block <= this.#newest) return;
    const first = Math.max(this.#newest + 1, block - BLOCKS + 1);
    for (let entering = first; entering <= block; entering += 1) this.#blocks[entering % BLOCKS] = 0;
    this.#newest = block;
  }
}

const BLOCK_BITS = 32;
const BLOCKS = 128;

/** A count is taken at least as long as it lies this little behind the highest: half a kilobyte of bits. */
export const REPLAY_WINDOW = (BLOCKS - 1) * BLOCK_BITS;
