/** How the text of a setting is read. Undefined: not allowed. */
import { parseNatsAddress } from './api/nats-address.ts';
import { parseDuration } from './jobs/duration.ts';
import { isNodeName } from './jobs/ids.ts';

export function readText(text: string): string {
  return text;
}

export function readName(text: string): string | undefined {
  return isNodeName(text) ? text : undefined;
}

export function readYesNo(text: string): boolean | undefined {
  return text === 'true' ? true : text === 'false' ? false : undefined;
}

/** An IPv6 host stands in brackets. */
export function readAddress(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:]+)\]|([^:\s]+)):([0-9]{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

/** One that somebody else can ask: with a port. */
export function readReachableAddress(text: string): ReturnType<typeof readAddress> {
  const address = readAddress(text);
  return address?.port === 0 ? undefined : address;
}

/** One tag a line, or separated by commas in a variable. */
export function readTags(text: string): Readonly<Record<string, string>> | undefined {
  const tags: [string, string][] = [];
  for (const part of text.split(/[\n,]/)) {
    if (part === '') continue;
    const equals = part.indexOf('=');
    if (equals < 1) return undefined;
    tags.push([part.slice(0, equals), part.slice(equals + 1)]);
  }
  return Object.fromEntries(tags);
}

/** Separated by commas, or one a line as a list in the settings file comes. */
export function readNatsUrl(text: string): string | undefined {
  const url = text.replaceAll('\n', ',');
  try {
    if (url !== '') parseNatsAddress(url);
    return url;
  } catch {
    // What is wrong is told with what is allowed; its own message would show a password that stands in the address.
    return undefined;
  }
}

export function oneOf(values: readonly string[]): (text: string) => string | undefined {
  return (text) => (values.includes(text) ? text : undefined);
}

export function integer(low: number, high: number): (text: string) => number | undefined {
  return (text) => {
    const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
    return value >= low && value <= high ? value : undefined;
  };
}

/** In ms, both ends allowed. */
export function duration(lowMs: number, highMs: number): (text: string) => number | undefined {
  return (text) => {
    const ms = parseDuration(text);
    return ms !== undefined && ms >= lowMs && ms <= highMs ? ms : undefined;
  };
}
