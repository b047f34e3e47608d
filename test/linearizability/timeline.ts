/** The calls and returns of one key in the order of time, as a list from which an operation can be lifted and put back. */
import { strict as assert } from 'node:assert';
import type { Operation } from './history.ts';

export interface Moment {
  /** Its place in the list of operations, which is its bit in a set of them. */
  readonly place: number;
  readonly operation: Operation;
  /** Of a call: its return. Null for a return itself. */
  readonly returns: Moment | null;
  previous: Moment | null;
  next: Moment | null;
}

/** Its `next` is the first moment. At equal times calls come before returns: such operations overlap. */
export function timelineOf(operations: readonly Operation[]): Moment {
  const moments = operations.flatMap((operation, place) => {
    const returned: Moment = { place, operation, returns: null, previous: null, next: null };
    const called: Moment = { place, operation, returns: returned, previous: null, next: null };
    return [
      { atMs: operation.invokedMs, moment: called },
      { atMs: operation.respondedMs, moment: returned },
    ];
  });
  const rank = ({ moment }: { readonly moment: Moment }): number => (moment.returns === null ? 1 : 0);
  moments.sort((left, right) => {
    if (left.atMs !== right.atMs) return left.atMs < right.atMs ? -1 : 1;
    return rank(left) - rank(right);
  });
  const [first] = operations;
  assert(first !== undefined, 'a timeline of nothing');
  const head: Moment = { place: -1, operation: first, returns: null, previous: null, next: null };
  let last = head;
  for (const { moment } of moments) {
    last.next = moment;
    moment.previous = last;
    last = moment;
  }
  return head;
}

/** Takes a call and its return out. */
export function lift(call: Moment): void {
  assert(call.returns !== null, 'only a call can be lifted');
  for (const moment of [call, call.returns]) {
    if (moment.previous !== null) moment.previous.next = moment.next;
    if (moment.next !== null) moment.next.previous = moment.previous;
  }
}

/** Undoes the last lift that has not been undone. */
export function unlift(call: Moment): void {
  assert(call.returns !== null, 'only a call can be put back');
  for (const moment of [call.returns, call]) {
    if (moment.previous !== null) moment.previous.next = moment;
    if (moment.next !== null) moment.next.previous = moment;
  }
}
