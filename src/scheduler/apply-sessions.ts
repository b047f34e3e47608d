/**
 * Sessions: a node's membership as an executor. Opened by its first hello in a boot, closed when it leaves or is given
 * up; an agent that has been gone for long is forgotten.
 */
import type { Applying } from './applying.ts';
import type { Command } from './command.ts';
import { keys, type NodeRow } from './rows.ts';

export function openSession(applying: Applying, command: Extract<Command, { type: 'open-session' }>): void {
  const { state, index, events } = applying;
  const { node, boot, name, isServer, tags, slots, version, address } = command;
  const known = state.get<NodeRow>(keys.node(node));
  if (known !== undefined && !isNews(known, boot)) return;
  state.put(keys.node(node), {
    type: 'node',
    node,
    boot,
    name,
    isServer,
    tags,
    slots,
    version,
    address,
    session: index,
    isOpen: true,
    closedMs: null,
    hasLeft: false,
  });
  events.push({ type: 'session-opened', node, boot, session: index });
}

/** Not so: an older boot, late; the same hello twice; one that was said before this boot left, which is for good. */
function isNews(known: NodeRow, boot: number): boolean {
  return boot > known.boot || (boot === known.boot && !known.isOpen && !known.hasLeft);
}

export function closeSession(applying: Applying, command: Extract<Command, { type: 'close-session' }>): void {
  const { state, loggedMs, events } = applying;
  const { node, session } = command;
  const known = state.get<NodeRow>(keys.node(node));
  if (known === undefined || known.session !== session || !known.isOpen) return;
  // Entries of earlier builds do not say it: then nobody could leave.
  const hasLeft = command.hasLeft === true;
  state.put(keys.node(node), { ...known, isOpen: false, closedMs: loggedMs, hasLeft });
  events.push({ type: 'session-closed', node, session, hasLeft });
}

/**
 * Who proposes it has seen, after the sessions were closed, that nothing is open on these nodes: without a new session
 * that stays so. A late hello of a boot that is forgotten opens a session, which is given up in turn: harmless.
 */
export function forgetNodes(applying: Applying, command: Extract<Command, { type: 'forget-nodes' }>): void {
  const { state, events } = applying;
  for (const { node, session } of command.nodes) {
    const known = state.get<NodeRow>(keys.node(node));
    if (known === undefined || known.session !== session || known.isOpen || known.isServer) continue;
    state.delete(keys.node(node));
    events.push({ type: 'node-forgotten', node, name: known.name });
  }
}
