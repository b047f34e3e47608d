/** Members as Dkron's (that is Serf's) JSON shows them, with our fields in lower case. */
import { tagsOfNode } from '../jobs/placement.ts';
import type { NodeView } from '../scheduler/views.ts';
import type { JsonOut } from './json-text.ts';

export function writeMember(view: NodeView): Readonly<Record<string, JsonOut>> {
  return { ...writeLeader(view), id: view.node, statusText: STATUS_TEXTS[statusOf(view)] };
}

/** A member without `id` and `statusText`, as Dkron's `/v1/leader`. */
export function writeLeader(view: NodeView): Readonly<Record<string, JsonOut>> {
  const { host, port } = splitAddress(view.address);
  return {
    Name: view.name,
    Addr: host,
    Port: port,
    Tags: tagsOfNode(view),
    Status: statusOf(view),
    ProtocolMin: 1,
    ProtocolMax: 1,
    ProtocolCur: 1,
    DelegateMin: 1,
    DelegateMax: 1,
    DelegateCur: 1,
    node: view.node,
    boot: view.boot,
    is_server: view.isServer,
    is_leader: view.isLeader,
    is_alive: view.isAlive,
    session: view.session,
    slots: view.slots,
    slots_used: view.slotsUsed,
    version: view.version,
    address: view.address,
  };
}

/** Serf's numbers. */
function statusOf({ isAlive, hasLeft }: NodeView): keyof typeof STATUS_TEXTS {
  if (isAlive) return 1;
  return hasLeft ? 3 : 4;
}

const STATUS_TEXTS = { 1: 'alive', 3: 'left', 4: 'failed' } as const;

function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const match = /^(?:[a-z]+:\/\/)?\[?(.*?)\]?:([0-9]{1,5})\/?$/.exec(address);
  return match === null ? { host: address, port: 0 } : { host: match[1] as string, port: Number(match[2]) };
}
