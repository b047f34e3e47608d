import { isId } from './envelope.ts';
import { areVoters, type GenesisPromise, isPromise } from './identity.ts';
import { decodeFrame, encodeFrame } from './json-frame.ts';

/**
 * How far a life of a node has come. Starting: it listens whether it may exist at all. Forming: it may, and waits for
 * its cluster. Running: it belongs to one and works.
 */
export type Stage = 'starting' | 'forming' | 'running';

/** The one thing that is said in the hall: who I am. Who says it, and in which boot, stands in the envelope. */
export interface Here {
  /** Random, of this life: it tells a copy of the directory that runs in the same boot from the node itself. */
  readonly life: string;
  readonly name: string;
  readonly isServer: boolean;
  readonly stage: Stage;
  /** Whether everybody else should say who they are, now. */
  readonly asks: boolean;
  readonly clusterUuid: string | null;
  /** nodeIds of the servers that vote, ascending. */
  readonly voters: readonly string[] | null;
  /** nodeIds of the servers that only follow, or do not vote yet; ascending. */
  readonly learners: readonly string[];
  /** Of the log entry that says both; 0: the speaker's log has not been read, and this may be old. */
  readonly membershipIndex: number;
  /** Of the voters, in their order; empty where the speaker does not know it. */
  readonly voterNames: readonly string[];
  /** How many servers this one wants to found a cluster with; null: none. */
  readonly expect: number | null;
  readonly promise: GenesisPromise | null;
  /** To those who asked since the last word. */
  readonly answers: readonly Answer[];
}

export interface Answer {
  readonly nodeId: string;
  /** The life that asked: an answer to it was said after it had begun, by somebody who lives. */
  readonly life: string;
  /** The highest boot of that node which got past its start, as far as the speaker heard; 0: none. */
  readonly known: number;
}

/** More are answered in the next word. */
export const ANSWERS_MAX = 64;

export function encodeHere(here: Here): Uint8Array {
  return encodeFrame({ type: 'here', ...here });
}

/** Undefined for what is not a word of ours: the hall can be spoken in before any key or uuid proves who speaks. */
export function decodeHere(body: Uint8Array): Here | undefined {
  const value = decodeFrame(body);
  if (typeof value !== 'object' || value === null) return undefined;
  const word = value as Record<string, unknown>;
  const { type, life, name, isServer, stage, asks, clusterUuid, voters, voterNames, expect, promise, answers } = word;
  // Earlier builds have no learners.
  const { learners = [], membershipIndex = 0 } = word;
  const isUnderstood =
    type === 'here' &&
    isIdText(life) &&
    isName(name) &&
    typeof isServer === 'boolean' &&
    (stage === 'starting' || stage === 'forming' || stage === 'running') &&
    typeof asks === 'boolean' &&
    (clusterUuid === null || isIdText(clusterUuid)) &&
    (voters === null || areVoters(voters)) &&
    (isListOf(learners, 0, isIdText) || areVoters(learners)) &&
    (membershipIndex === 0 || (Number.isSafeInteger(membershipIndex) && (membershipIndex as number) > 0)) &&
    isListOf(voterNames, voters?.length ?? 0, (entry) => entry === '' || isName(entry)) &&
    (expect === null || isCount(expect)) &&
    (promise === null || isPromise(promise)) &&
    isListOf(answers, ANSWERS_MAX, isAnswer);
  // Every field that `Here` names has just been looked at.
  return isUnderstood ? ({ ...word, learners, membershipIndex } as unknown as Here) : undefined;
}

function isAnswer(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { nodeId, life, known } = value as Record<string, unknown>;
  return isIdText(nodeId) && isIdText(life) && (known === 0 || isCount(known));
}

function isIdText(value: unknown): boolean {
  return typeof value === 'string' && isId(value);
}

/** As node names are spelled everywhere: what is heard here ends up in logs. */
function isName(value: unknown): boolean {
  return typeof value === 'string' && /^[a-z0-9_-]{1,63}$/.test(value);
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 0xffff_ffff;
}

function isListOf(value: unknown, lengthMax: number, isEntry: (entry: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length <= lengthMax && value.every(isEntry);
}
