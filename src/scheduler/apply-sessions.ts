/** Sessions: a node's membership as an executor. Opened by its first hello in a boot, closed when it is given up. */
import type { Applying } from './applying.ts';
import type { Command } from './command.ts';
import { keys, type NodeRow } from './rows.ts';

export function openSession(applying: Applying, command: Extract<Command, { type: 'open-session' }>): void {
  const { state, index, events } = applying;
  const { node, boot, name, isServer, tags, slots, version, address } = command;
  const known = state.get<NodeRow>(keys.node(node));
  // An older boot says hello late, or the same one twice.
  if (known !== undefined && (boot < known.boot || (boot === known.boot && known.isOpen))) return;
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
  });
  events.push({ type: 'session-opened', node, boot, session: index });
}

export function closeSession(applying: Applying, command: Extract<Command, { type: 'close-session' }>): void {
  const { state, events } = applying;
  const known = state.get<NodeRow>(keys.node(command.node));
  if (known === undefined || known.session !== command.session || !known.isOpen) return;
  state.put(keys.node(command.node), { ...known, isOpen: false });
  events.push({ type: 'session-closed', node: command.node, session: command.session });
}
