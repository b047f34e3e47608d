/**
 * What holds for reads that are answered from the state of the server asked: within a session (one client at one server
 * in one of its lives) a client reads its own writes, and never goes back behind what it has read. Besides, in all
 * sessions: a value that was read was written before. Writes of one log entry have one version: it tells the order of two
 * only where it differs.
 */
import { byKey } from './checker.ts';
import { describeOperation, type Operation } from './history.ts';

/** One text for each thing that cannot be. */
export function checkSessions(operations: readonly Operation[]): readonly string[] {
  const violations: string[] = [];
  for (const [key, ofKey] of byKey(operations)) {
    const tell = (what: string, ...involved: readonly Operation[]): void => {
      violations.push(`${key}: ${what}\n  ${involved.map(describeOperation).join('\n  ')}`);
    };
    checkValues(ofKey, tell);
    for (const session of sessionsOf(ofKey)) checkSession(session, ofKey, tell);
  }
  return violations;
}

type Tell = (what: string, ...involved: readonly Operation[]) => void;

function checkValues(operations: readonly Operation[], tell: Tell): void {
  const writes = writesByValue(operations);
  for (const operation of operations) {
    const value = shownValue(operation);
    if (value === null) continue;
    if (operation.action.type === 'get') {
      const write = writes.get(value);
      if (write === undefined) tell('a value was read that nobody wrote', operation);
      else if (write.invokedMs > operation.respondedMs)
        tell('a value was read before it was written', operation, write);
    }
  }
}

function checkSession(session: readonly Operation[], all: readonly Operation[], tell: Tell): void {
  const writes = writesByValue(all);
  const deletes = all.filter(({ action }) => action.type === 'delete');
  for (const [place, read] of session.entries()) {
    if (read.result?.type !== 'read') continue;
    for (const earlier of session.slice(0, place)) {
      if (earlier.respondedMs >= read.invokedMs) continue;
      const seen = writeSeenBy(earlier, writes);
      if (seen === undefined) continue;
      const what =
        earlier.action.type === 'get' ? 'a read goes back behind an earlier one' : 'an own write is not read';
      if (isBehind(read, earlier, seen, writes, deletes)) tell(what, earlier, read);
    }
  }
}

/** Whether what was read is for certain older than what the session had seen before. */
function isBehind(
  read: Operation,
  earlier: Operation,
  seen: Operation,
  writes: ReadonlyMap<string, Operation>,
  deletes: readonly Operation[],
): boolean {
  const value = read.result?.type === 'read' ? read.result.value : null;
  // Absent is newer only if a delete may have come after what was seen, and before the answer.
  if (value === null) {
    if (seen.action.type === 'delete') return false;
    return !deletes.some((gone) => gone.respondedMs >= seen.invokedMs && gone.invokedMs <= read.respondedMs);
  }
  if (read.version !== undefined && earlier.version !== undefined) return read.version < earlier.version;
  const write = writes.get(value);
  return write !== undefined && write !== seen && write.respondedMs < seen.invokedMs;
}

/** The write that an operation proves to have taken effect. */
function writeSeenBy(operation: Operation, writes: ReadonlyMap<string, Operation>): Operation | undefined {
  if (operation.result === null) return undefined;
  // A delete that found nothing has changed nothing.
  if (operation.result.type === 'deleted' && !operation.result.wasThere) return undefined;
  if (operation.action.type !== 'get') return operation;
  const value = shownValue(operation);
  return value === null ? undefined : writes.get(value);
}

function shownValue({ action, result }: Operation): string | null {
  if (action.type === 'put') return action.value;
  return result?.type === 'read' ? result.value : null;
}

function writesByValue(operations: readonly Operation[]): ReadonlyMap<string, Operation> {
  const writes = new Map<string, Operation>();
  for (const operation of operations) {
    if (operation.action.type === 'put') writes.set(operation.action.value, operation);
  }
  return writes;
}

/** By their beginning. */
function sessionsOf(operations: readonly Operation[]): Iterable<readonly Operation[]> {
  const sessions = new Map<string, Operation[]>();
  for (const operation of operations) {
    const name = `${operation.client} ${operation.server}`;
    const list = sessions.get(name) ?? [];
    list.push(operation);
    sessions.set(name, list);
  }
  return sessions.values();
}
