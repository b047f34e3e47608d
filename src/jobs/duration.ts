/** Durations as Go writes and reads them, since that is what Dkron's users have in their jobs: `1h30m`, `1.5s`. */

/** In whole ms, what is below is cut. Undefined for anything that Go would refuse. May be negative, as in Go. */
export function parseDuration(text: string): number | undefined {
  if (text.length > LENGTH_MAX) return undefined;
  const match = /^([+-]?)(0|(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)$/.exec(text);
  if (match === null) return undefined;
  const [, sign, body] = match as unknown as [string, string, string];
  let total = 0n;
  for (const part of body.matchAll(/([0-9]*)(?:\.([0-9]*))?([a-zµμ]+)/g)) {
    const [, whole, fraction = '', unit] = part as unknown as [string, string, string | undefined, string];
    const unitNs = NANOSECONDS.get(unit) as bigint;
    total += BigInt(whole) * unitNs + (BigInt(fraction) * unitNs) / 10n ** BigInt(fraction.length);
  }
  if (total > GO_MAX_NS) return undefined;
  const ms = Number(total / 1_000_000n);
  return sign === '-' && ms !== 0 ? -ms : ms;
}

/** As Go prints it: `2m0s`, `1.5s`, `250ms`, `0s`. */
export function formatDuration(durationMs: number): string {
  const sign = durationMs < 0 ? '-' : '';
  const ms = Math.trunc(Math.abs(durationMs));
  if (ms === 0) return '0s';
  if (ms < 1_000) return `${sign}${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor(ms / 60_000) % 60;
  const seconds = `${(ms % 60_000) / 1_000}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}`;
  return minutes > 0 ? `${sign}${minutes}m${seconds}` : `${sign}${seconds}`;
}

const LENGTH_MAX = 100;
/** Go counts ns in 63 bits, about 292 years. */
const GO_MAX_NS = 2n ** 63n - 1n;
const NANOSECONDS: ReadonlyMap<string, bigint> = new Map([
  ['ns', 1n],
  ['us', 1_000n],
  ['\u00b5s', 1_000n],
  ['\u03bcs', 1_000n],
  ['ms', 1_000_000n],
  ['s', 1_000_000_000n],
  ['m', 60_000_000_000n],
  ['h', 3_600_000_000_000n],
]);
