import { type Context, createContext, Script } from 'node:vm';
import type { Pattern } from '../jobs/go-pattern.ts';

/** So much of a body is looked at, and so much of it is kept. */
export const BODY_START_BYTES = 64 * 1024;

/** The match runs in the node's own thread, where one that backtracks without end would stop every beat. */
const MATCH_MS = 50;

const script = new Script('new RegExp(source, flags).test(body)');
/** One for all: a context costs a millisecond and a heap of its own. Nothing of a job but text gets into it. */
let realm: Context | undefined;

/** Whether the start of the body matches; `too-slow` where the expression was ended. */
export function matchesBody(pattern: Pattern, body: string): boolean | 'too-slow' {
  realm ??= createContext({ source: '', flags: '', body: '' });
  Object.assign(realm, pattern, { body });
  try {
    return script.runInContext(realm, { timeout: MATCH_MS }) === true;
  } catch {
    // Its time is over, or it has grown too large for the engine, which comes to the same.
    return 'too-slow';
  } finally {
    realm['body'] = '';
  }
}
