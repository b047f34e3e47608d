/** Of one item in a list. */
export interface OutputSize {
  /** What its row holds. */
  readonly tailBytes: number;
  /** What is wanted of it, if there is room. */
  readonly wantedBytes: number;
}

/**
 * How many bytes of output each item of a list may show, so that all together stay within `totalBytesMax`: first each
 * has room for its tail (where there are very many, for an equal part of the whole), then those that come first get
 * all they want, as long as it fits. What would not fit whole shows its tail.
 */
export function shareOutput(sizes: readonly OutputSize[], totalBytesMax: number): readonly number[] {
  const part = Math.floor(totalBytesMax / Math.max(1, sizes.length));
  const least = sizes.map(({ tailBytes, wantedBytes }) => Math.min(tailBytes, wantedBytes, part));
  let leftBytes = totalBytesMax - least.reduce((sum, bytes) => sum + bytes, 0);
  return sizes.map(({ wantedBytes }, index) => {
    const sure = least[index] ?? 0;
    if (wantedBytes - sure > leftBytes) return sure;
    leftBytes -= wantedBytes - sure;
    return wantedBytes;
  });
}
