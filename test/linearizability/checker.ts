/**
 * Whether a history is linearizable: whether each operation can have taken effect at one instant between its call and its
 * return. Wing and Gong's search with Lowe's memory of what was tried ("Testing for linearizability", 2017): a set of
 * operations that have taken effect together with the state they led to is looked at once. Each key is judged alone, which
 * is enough, since linearizability is local (Herlihy and Wing 1990, §3.2).
 */
import { describeOperation, type Operation } from './history.ts';
import { EMPTY_REGISTER, type RegisterState, stepRegister } from './model.ts';
import { lift, type Moment, timelineOf, unlift } from './timeline.ts';

export type Verdict =
  | { readonly type: 'ok'; readonly work: number }
  | { readonly type: 'violation'; readonly key: string; readonly explanation: string; readonly work: number }
  /** The bound was reached before the search had ended: this says nothing, and must not be taken for `ok`. */
  | { readonly type: 'unknown'; readonly key: string; readonly work: number };

export interface CheckOptions {
  /** Steps of the search per key. Default 2,000,000. */
  readonly workMax?: number;
}

const WORK_MAX = 2_000_000;
/** Operations that an explanation shows before the one that fits nowhere. */
const SHOWN_MAX = 12;

/** The first violation by key; else the first unknown; else ok. */
export function checkLinearizability(operations: readonly Operation[], options: CheckOptions = {}): Verdict {
  const { workMax = WORK_MAX } = options;
  let work = 0;
  let unknown: string | undefined;
  for (const [key, ofKey] of byKey(operations)) {
    const found = search(ofKey, workMax);
    work += found.work;
    if (found.type === 'violation') return { type: 'violation', key, explanation: explain(ofKey, workMax), work };
    if (found.type === 'unknown') unknown ??= key;
  }
  return unknown === undefined ? { type: 'ok', work } : { type: 'unknown', key: unknown, work };
}

export function byKey(operations: readonly Operation[]): ReadonlyMap<string, readonly Operation[]> {
  const keys = new Map<string, Operation[]>();
  for (const operation of operations) {
    const list = keys.get(operation.key) ?? [];
    list.push(operation);
    keys.set(operation.key, list);
  }
  return new Map([...keys].sort(([left], [right]) => (left < right ? -1 : 1)));
}

interface Found {
  readonly type: 'ok' | 'violation' | 'unknown';
  readonly work: number;
}

function search(all: readonly Operation[], workMax: number): Found {
  // A read that nobody got an answer to constrains nothing.
  const operations = all.filter(({ action, result }) => action.type !== 'get' || result !== null);
  let waiting = operations.filter(({ result }) => result !== null).length;
  if (waiting === 0) return { type: 'ok', work: 0 };
  const head = timelineOf(operations);
  const effected = new Uint16Array(Math.ceil(operations.length / 16));
  const seen = new Set<string>();
  const taken: { readonly call: Moment; readonly before: RegisterState }[] = [];
  let state: RegisterState = EMPTY_REGISTER;
  let work = 0;
  let moment = head.next;
  for (;;) {
    work += 1;
    if (work > workMax) return { type: 'unknown', work };
    // Open operations return at the end of time: whatever is left then need not have happened.
    if (waiting === 0) return { type: 'ok', work };
    if (moment !== null && moment.returns !== null) {
      const { operation, place } = moment;
      const after = stepRegister(state, operation.action, operation.result);
      if (after !== undefined) {
        flip(effected, place);
        if (remember(seen, effected, after.state)) {
          taken.push({ call: moment, before: state });
          state = after.state;
          if (operation.result !== null) waiting -= 1;
          lift(moment);
          moment = head.next;
          continue;
        }
        flip(effected, place);
      }
      moment = moment.next;
      continue;
    }
    // A return whose call has not taken effect: something before must have been otherwise.
    const undone = taken.pop();
    if (undone === undefined) return { type: 'violation', work };
    const { call, before } = undone;
    state = before;
    flip(effected, call.place);
    if (call.operation.result !== null) waiting += 1;
    unlift(call);
    moment = call.next;
  }
}

function flip(set: Uint16Array, place: number): void {
  const word = place >> 4;
  set[word] = (set[word] ?? 0) ^ (1 << (place & 15));
}

/** False where it was there. */
function remember(seen: Set<string>, effected: Uint16Array, state: RegisterState): boolean {
  const key = `${String.fromCharCode(...effected)}${state === null ? '-' : `+${state}`}`;
  if (seen.has(key)) return false;
  seen.add(key);
  return true;
}

/**
 * The first answer that cannot be true. Each beginning of a linearizable history is linearizable, so there is a shortest
 * beginning that is not; the answer that ends it is told, with the operations that it has to do with.
 */
function explain(operations: readonly Operation[], workMax: number): string {
  const ends = operations.filter(({ result }) => result !== null).sort((l, r) => l.respondedMs - r.respondedMs);
  let low = 0;
  let high = ends.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (search(until(operations, ends[middle]), workMax).type === 'violation') high = middle;
    else low = middle + 1;
  }
  const culprit = ends[low];
  if (culprit === undefined) throw new Error('a violation without an answer');
  const others = until(operations, culprit).filter((other) => other !== culprit && isAbout(other, culprit));
  const latest = others.sort((left, right) => left.respondedMs - right.respondedMs).slice(-SHOWN_MAX);
  const lines = latest.sort((left, right) => left.invokedMs - right.invokedMs).map(describeOperation);
  return `no order explains\n  ${describeOperation(culprit)}\nafter\n  ${lines.join('\n  ')}`;
}

/** What was known when `last` was answered. */
function until(operations: readonly Operation[], last: Operation | undefined): readonly Operation[] {
  const endMs = last?.respondedMs ?? 0;
  return operations
    .filter(({ invokedMs }) => invokedMs <= endMs)
    .map((operation) =>
      operation.respondedMs <= endMs
        ? operation
        : { ...operation, respondedMs: Number.POSITIVE_INFINITY, result: null },
    );
}

/** Writes, and reads that saw the same. */
function isAbout(other: Operation, culprit: Operation): boolean {
  if (other.action.type !== 'get') return true;
  return other.result?.type === 'read' && culprit.result?.type === 'read'
    ? other.result.value === culprit.result.value
    : other.result !== null;
}
