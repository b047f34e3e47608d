/** What people read: tables, times, and lines with the node in front. */
import { stripVTControlCharacters } from 'node:util';

/** Columns aligned, header first; a text without rows says so. */
export function table(header: readonly string[], rows: readonly (readonly string[])[], empty: string): string {
  if (rows.length === 0) return `${empty}\n`;
  const lines = [header, ...rows].map((row) => row.map(oneLine));
  const widths = header.map((_, column) => Math.max(...lines.map((line) => widthOf(line[column] ?? ''))));
  const padded = lines.map((line) =>
    line
      .map((cell, column) => cell + ' '.repeat(Math.max(0, (widths[column] ?? 0) - widthOf(cell))))
      .join('  ')
      .trimEnd(),
  );
  return `${padded.join('\n')}\n`;
}

/** `in 1m 30s (2026-11-25 12:02:00Z)`; `-` for never. */
export function when(instant: unknown, nowMs: number): string {
  if (typeof instant !== 'string' || instant.startsWith('0001-')) return '-';
  const ms = Date.parse(instant);
  if (Number.isNaN(ms)) return instant;
  const distance = duration(Math.abs(ms - nowMs));
  const relative = Math.abs(ms - nowMs) < 1_000 ? 'now' : ms > nowMs ? `in ${distance}` : `${distance} ago`;
  return `${relative} (${new Date(ms)
    .toISOString()
    .replace('T', ' ')
    .replace(/\.\d+Z$/, 'Z')})`;
}

/** The two greatest units. */
export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)}ms`;
  if (ms < 10_000) return `${(Math.floor(ms / 100) / 10).toString()}s`;
  const seconds = Math.floor(ms / 1_000);
  const units: readonly (readonly [string, number])[] = [
    ['d', Math.floor(seconds / 86_400)],
    ['h', Math.floor(seconds / 3_600) % 24],
    ['m', Math.floor(seconds / 60) % 60],
    ['s', seconds % 60],
  ];
  const first = units.findIndex(([, count]) => count > 0);
  return units
    .slice(first, first + 2)
    .filter(([, count]) => count > 0)
    .map(([unit, count]) => `${count}${unit}`)
    .join(' ');
}

/** Each line with its node in front, as soon as there is more than one. */
export function outputText(parts: readonly { readonly node: string; readonly output: string }[]): string {
  if (parts.length === 1) return withNewline(parts[0]?.output ?? '');
  const width = Math.max(0, ...parts.map((part) => widthOf(part.node)));
  return parts
    .flatMap(({ node, output }) => {
      if (output === '') return [];
      const lines = output.replace(/\n$/, '').split('\n');
      return lines.map((line) => `${node.padEnd(width)} | ${line}\n`);
    })
    .join('');
}

function withNewline(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

/** Texts of clients must not move the cursor of a terminal. */
function oneLine(text: string): string {
  return stripVTControlCharacters(text).replace(/\p{Cc}/gu, ' ');
}

function widthOf(text: string): number {
  return [...text].length;
}
