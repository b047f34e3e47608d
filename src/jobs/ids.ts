/**
 * Ids as text (CONTRACT.md), read strictly: what this file would not write, it does not read.
 *
 *   uid         <group>-<index>              both base 36, lower case
 *   run         <uid>-s<nominal ms>          by schedule
 *               <uid>-h<hash> -p<hash> -b<hash>   by hand, by a parent, by a backfill
 *   execution   <run>-<target ordinal>-<attempt>
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { Cause } from './run.ts';

export const GROUP_MAX = 0xffff;
export const INDEX_MAX = 2 ** 48 - 1;

export interface Uid {
  readonly group: number;
  readonly index: number;
}

export interface RunIdParts {
  readonly uid: string;
  readonly cause: Cause;
  /** The text after the cause's letter: nominal ms, or the hash. */
  readonly key: string;
  readonly nominalMs: number | null;
}

export interface ExecutionIdParts {
  readonly run: string;
  /** Which of the run's targets, from 0. */
  readonly ordinal: number;
  /** From 1. */
  readonly attempt: number;
}

export function uidOf(group: number, index: number): string {
  assert(isIndex(group, GROUP_MAX) && isIndex(index, INDEX_MAX), 'group or index out of range');
  return `${group.toString(36)}-${index.toString(36)}`;
}

export function parseUid(text: string): Uid | undefined {
  const match = UID.exec(text);
  if (match === null) return undefined;
  const group = parseInt(match[1] as string, 36);
  const index = parseInt(match[2] as string, 36);
  return group <= GROUP_MAX && index <= INDEX_MAX ? { group, index } : undefined;
}

/** The uid in fixed width, so that keys sort as the numbers do. */
export function uidKey(uid: string): string {
  // One entry's rows mostly belong to one job.
  if (uid !== memo.uid) memo = { uid, key: padUid(uid) };
  return memo.key;
}

let memo = { uid: '', key: '' };

function padUid(uid: string): string {
  const parts = parseUid(uid);
  assert(parts !== undefined, `not a uid: ${uid}`);
  return `${parts.group.toString(36).padStart(4, '0')}-${parts.index.toString(36).padStart(10, '0')}`;
}

export function uidFromKey(key: string): string | undefined {
  if (!UID_KEY.test(key)) return undefined;
  const group = parseInt(key.slice(0, 4), 36);
  const index = parseInt(key.slice(5), 36);
  return group <= GROUP_MAX && index <= INDEX_MAX ? uidOf(group, index) : undefined;
}

/**
 * By schedule (`s`) the key is the nominal time in ms. Otherwise it is a text of any length, which is hashed: the
 * request id (`h`), the parent's run id (`p`), backfill id and nominal time (`b`).
 */
export function runIdOf(uid: string, cause: 's', nominalMs: number): string;
export function runIdOf(uid: string, cause: Exclude<Cause, 's'>, key: string): string;
export function runIdOf(uid: string, cause: Cause, key: number | string): string {
  if (typeof key === 'string') return `${uid}-${cause}${hashKey(key)}`;
  assert(isIndex(key, TIME_MS_MAX), `not a nominal time: ${key}`);
  return `${uid}-${cause}${key}`;
}

export function parseRunId(text: string): RunIdParts | undefined {
  const match = RUN_ID.exec(text);
  if (match === null) return undefined;
  const [, uid, letter, key] = match as unknown as [string, string, Cause, string];
  if (parseUid(uid) === undefined) return undefined;
  if (letter !== 's') return HASH.test(key) ? { uid, cause: letter, key, nominalMs: null } : undefined;
  const nominalMs = decimal(key, TIME_MS_MAX);
  return nominalMs === undefined ? undefined : { uid, cause: letter, key, nominalMs };
}

export function executionIdOf(run: string, ordinal: number, attempt: number): string {
  assert(isIndex(ordinal, ORDINAL_MAX), `not an ordinal: ${ordinal}`);
  assert(isIndex(attempt, ORDINAL_MAX) && attempt >= 1, `not an attempt: ${attempt}`);
  return `${run}-${ordinal}-${attempt}`;
}

export function parseExecutionId(text: string): ExecutionIdParts | undefined {
  const match = EXECUTION_ID.exec(text);
  if (match === null) return undefined;
  const run = match[1] as string;
  const ordinal = decimal(match[2] as string, ORDINAL_MAX);
  const attempt = decimal(match[3] as string, ORDINAL_MAX);
  if (ordinal === undefined || attempt === undefined || attempt < 1) return undefined;
  return parseRunId(run) === undefined ? undefined : { run, ordinal, attempt };
}

/** 26 characters base 32 (RFC 4648, lower case) of SHA-256 over the text: 130 bits. */
export function hashKey(text: string): string {
  const digest = createHash('sha256').update(text, 'utf8').digest();
  let hash = '';
  let bits = 0;
  let held = 0;
  for (const byte of digest) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5 && hash.length < HASH_LENGTH) {
      bits -= 5;
      hash += BASE32[(held >> bits) & 31];
    }
    held &= 0xff;
    if (hash.length === HASH_LENGTH) break;
  }
  return hash;
}

/** Names of nodes and of clusters. */
export function isNodeName(text: string): boolean {
  return /^[a-z0-9_-]{1,63}$/.test(text);
}

/** Letters are lower case, or of an alphabet without case. */
export function isJobName(text: string): boolean {
  return /^[\p{Ll}\p{Lo}\p{Lm}0-9_-]{1,255}$/u.test(text) && Buffer.byteLength(text, 'utf8') <= JOB_NAME_BYTES_MAX;
}

const JOB_NAME_BYTES_MAX = 255;
const HASH_LENGTH = 26;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
/** The greatest time that a `Date` can hold. */
const TIME_MS_MAX = 8_640_000_000_000_000;
const ORDINAL_MAX = 0xffff_ffff;

const BASE36 = '0|[1-9a-z][0-9a-z]{0,9}';
const UID = new RegExp(`^(${BASE36})-(${BASE36})$`);
const UID_KEY = /^[0-9a-z]{4}-[0-9a-z]{10}$/;
const RUN_ID = /^([0-9a-z]{1,10}-[0-9a-z]{1,10})-([shpb])([0-9a-z]{1,26})$/;
const EXECUTION_ID = /^(.{1,64})-([0-9]{1,10})-([0-9]{1,10})$/;
const HASH = /^[a-z2-7]{26}$/;

function isIndex(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

function decimal(text: string, max: number): number | undefined {
  if (!/^(0|[1-9][0-9]{0,15})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= max ? value : undefined;
}
