/** Histories that are linearizable because a register made them: each operation takes effect at a drawn instant. */
import { type Random, randomInteger } from '../../src/base/random.ts';
import type { Action, Operation, Result } from './history.ts';

export interface RegisterWorldOptions {
  readonly clients: number;
  readonly operationsPerClient: number;
  readonly keys: number;
  /** Of the operations, how many have no known outcome; half of those never take effect. */
  readonly unknownShare: number;
}

export function makeHistory(random: Random, options: RegisterWorldOptions): readonly Operation[] {
  const { clients, operationsPerClient, keys, unknownShare } = options;
  const planned: Planned[] = [];
  for (let client = 0; client < clients; client += 1) {
    let nowMs = random() * 10;
    for (let number = 0; number < operationsPerClient; number += 1) {
      const invokedMs = nowMs;
      const effectMs = invokedMs + random() * 10;
      const respondedMs = effectMs + random() * 10;
      const isUnknown = random() < unknownShare;
      planned.push({
        client: `c${client}`,
        key: `k${randomInteger(random, 0, keys - 1)}`,
        action: drawAction(random, `c${client}-${number}`),
        invokedMs,
        respondedMs: isUnknown ? Number.POSITIVE_INFINITY : respondedMs,
        effectMs: isUnknown ? drawFate(random, effectMs) : effectMs,
      });
      nowMs = respondedMs + random() * 5;
    }
  }
  return carryOut(planned);
}

interface Planned extends Pick<Operation, 'client' | 'key' | 'action' | 'invokedMs' | 'respondedMs'> {
  /** Infinity: never. */
  readonly effectMs: number;
}

function drawAction(random: Random, value: string): Action {
  const drawn = random();
  if (drawn < 0.5) return { type: 'get' };
  return drawn < 0.85 ? { type: 'put', value } : { type: 'delete' };
}

/** Never, or later than anybody would think. */
function drawFate(random: Random, effectMs: number): number {
  return random() < 0.5 ? Number.POSITIVE_INFINITY : effectMs + random() * 100;
}

function carryOut(planned: readonly Planned[]): readonly Operation[] {
  const states = new Map<string, string>();
  return [...planned]
    .sort((left, right) => left.effectMs - right.effectMs)
    .map(({ effectMs, ...operation }) => {
      const result = effectMs === Number.POSITIVE_INFINITY ? null : takeEffect(states, operation);
      return { ...operation, server: 's1#1', result: Number.isFinite(operation.respondedMs) ? result : null };
    })
    .sort((left, right) => left.invokedMs - right.invokedMs);
}

function takeEffect(states: Map<string, string>, { key, action }: Pick<Operation, 'key' | 'action'>): Result {
  switch (action.type) {
    case 'put':
      states.set(key, action.value);
      return { type: 'stored' };
    case 'get':
      return { type: 'read', value: states.get(key) ?? null };
    case 'delete':
      return { type: 'deleted', wasThere: states.delete(key) };
  }
}
