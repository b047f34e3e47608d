import { createContext, Script } from 'node:vm';

/** What is left of an expression that backtracks without end would block every beat, so it gets so long. */
const MATCH_MS = 50;
const BODY_CHARACTERS_MAX = 64 * 1024;

const script = new Script('new RegExp(pattern).test(body)');

/** Whether the start of the body matches; `too-slow` where the expression was ended. */
export function matchesBody(pattern: string, body: string): boolean | 'too-slow' {
  try {
    const context = createContext({ pattern, body: body.slice(0, BODY_CHARACTERS_MAX) });
    return script.runInContext(context, { timeout: MATCH_MS }) === true;
  } catch {
    return 'too-slow';
  }
}
