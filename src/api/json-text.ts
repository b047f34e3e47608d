/** JSON in and out of the doors: read with bounds, written with exact integers. */
import { CodedError, type Fault } from '../base/errors.ts';
import { JSON_DEPTH_MAX } from '../base/json-depth.ts';
import type { Json } from '../jobs/job.ts';

export const BODY_BYTES_MAX = 1024 * 1024;
/** Far above any job; it bounds the work of what follows. */
const VALUES_MAX = 100_000;

/** What the doors write: JSON, and integers beyond 2^53 as `bigint`. */
export type JsonOut =
  | null
  | boolean
  | number
  | string
  | bigint
  | readonly JsonOut[]
  | { readonly [key: string]: JsonOut | undefined };

/** Throws `invalid` or `too-large`; what it returns is neither deep nor able to touch a prototype. */
export function parseJson(bytes: Uint8Array): Json {
  if (bytes.byteLength > BODY_BYTES_MAX) throw tooLarge(bytes.byteLength);
  let text: string;
  try {
    text = UTF8.decode(bytes);
  } catch (cause) {
    throw new CodedError('invalid', 'the body is not UTF-8: send JSON in UTF-8', { cause });
  }
  if (text.trim() === '') throw new CodedError('invalid', 'the body is empty: send a JSON object');
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch (cause) {
    const reason = cause instanceof Error ? shorten(cause.message, 160) : 'it cannot be read';
    throw new CodedError('invalid', `the body is not JSON: ${reason}`, { cause });
  }
  const fault = findUnsafe(value);
  if (fault !== undefined)
    throw new CodedError('invalid', `${fault.field || 'body'}: ${fault.message}`, { faults: [fault] });
  return value;
}

export function tooLarge(sizeBytes: number): CodedError {
  return new CodedError('too-large', `the body has ${sizeBytes} bytes: at most ${BODY_BYTES_MAX} are taken`);
}

/** As `JSON.stringify`, but for `bigint`, which it refuses. Absent fields are left out. */
export function writeJson(value: JsonOut): string {
  switch (typeof value) {
    case 'string':
      return quote(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : 'null';
    case 'boolean':
    case 'bigint':
      return String(value);
    default:
  }
  if (value === null) return 'null';
  let text = '';
  if (isArray(value)) {
    for (const item of value) text += text === '' ? writeJson(item) : `,${writeJson(item)}`;
    return `[${text}]`;
  }
  for (const key of Object.keys(value)) {
    const field = value[key];
    if (field === undefined) continue;
    text += text === '' ? `${keyText(key)}${writeJson(field)}` : `,${keyText(key)}${writeJson(field)}`;
  }
  return `{${text}}`;
}

/** With Dkron's four blanks a level, for `?pretty`. */
export function writePrettyJson(value: JsonOut, indent = ''): string {
  if (value === null || typeof value !== 'object') return writeJson(value);
  const deeper = `${indent}    `;
  const isList = isArray(value);
  const items = isList
    ? value.map((item) => deeper + writePrettyJson(item, deeper))
    : Object.entries(value).flatMap(([key, field]) =>
        field === undefined ? [] : [`${deeper}${JSON.stringify(key)}: ${writePrettyJson(field, deeper)}`],
      );
  const [open, close] = isList ? ['[', ']'] : ['{', '}'];
  return items.length === 0 ? `${open}${close}` : `${open}\n${items.join(',\n')}\n${indent}${close}`;
}

/** For messages: no client gets its megabyte back. */
export function shorten(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax)}…`;
}

/** A value as a fault shows it. */
export function shortenValue(value: unknown): JsonOut {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return shorten(value, 100);
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  return shorten(JSON.stringify(value) ?? typeof value, 100);
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });
const UNSAFE_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/** `"key":`, for the few names that answers are made of; a client's own names come in as long as there is room. */
const KEY_TEXTS = new Map<string, string>();
const KEY_TEXTS_MAX = 1_000;
const KEY_LENGTH_MAX = 64;

function keyText(key: string): string {
  const known = KEY_TEXTS.get(key);
  if (known !== undefined) return known;
  const text = `${JSON.stringify(key)}:`;
  if (KEY_TEXTS.size < KEY_TEXTS_MAX && key.length <= KEY_LENGTH_MAX) KEY_TEXTS.set(key, text);
  return text;
}

/** Printable ASCII without quote and backslash. */
const PLAIN = /^[ !#-[\]-~]*$/;
/** Up to here a look at each character is quicker than the call. */
const PLAIN_LENGTH_MAX = 200;

function quote(text: string): string {
  return text.length <= PLAIN_LENGTH_MAX && PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

function isArray(value: JsonOut): value is readonly JsonOut[] {
  return Array.isArray(value);
}

function findUnsafe(root: Json): Fault | undefined {
  let count = 0;
  const visit = (value: Json, path: string, depth: number): Fault | undefined => {
    if (value === null || typeof value !== 'object') return undefined;
    if (depth > JSON_DEPTH_MAX) {
      return fault(path, null, `at most ${JSON_DEPTH_MAX} levels`, `is nested deeper than ${JSON_DEPTH_MAX} levels`);
    }
    for (const [key, item] of Object.entries(value)) {
      count += 1;
      if (count > VALUES_MAX) return fault('', null, `at most ${VALUES_MAX} values`, 'holds too many values');
      const isList = Array.isArray(value);
      if (!isList && UNSAFE_KEYS.has(key)) {
        return fault(path === '' ? key : `${path}.${key}`, null, 'any other name', 'this name is not allowed');
      }
      const field = isList ? `${path}[${key}]` : path === '' ? shorten(key, 60) : `${path}.${shorten(key, 60)}`;
      const found = visit(item as Json, field, depth + 1);
      if (found !== undefined) return found;
    }
    return undefined;
  };
  return visit(root, '', 1);
}

function fault(field: string, value: unknown, allowed: string, message: string): Fault {
  return { field: shorten(field, 200), value, allowed, message };
}
