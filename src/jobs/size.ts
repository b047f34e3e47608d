/** Sizes as Dkron reads them for `mem_limit`: `512MB`, `1.5 GB`; each unit is 1,024 of the one below it. */

/** In whole bytes, above 0; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = /^([0-9]{1,15}(?:\.[0-9]{1,15})?) ?([kmgt]?)b?$/i.exec(text.trim());
  if (match === null) return undefined;
  const [, amount, unit] = match as unknown as [string, string, string];
  const bytes = Math.floor(Number(amount) * 1_024 ** ' kmgt'.indexOf(unit === '' ? ' ' : unit.toLowerCase()));
  return bytes > 0 && Number.isSafeInteger(bytes) ? bytes : undefined;
}
