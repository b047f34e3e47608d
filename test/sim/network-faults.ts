/** What a plan lets go wrong between nodes, besides single frames: cuts of many shapes, clogged ways, all of it down. */
import type { Random } from '../../src/base/random.ts';
import { between, chance, pick } from './draw.ts';
import type { World } from './world.ts';

type Cut = (world: World, random: Random) => string;

/** Cuts the network one way or another; whoever calls it heals it. */
export function partition(world: World, random: Random): void {
  world.network.heal();
  world.trace.add('world', pick(random, CUTS)(world, random));
}

/** Nothing gets from one node to another for a while, in one direction; then everything at once. */
export function clog({ clock, nodes, plan, trace, weather }: World, random: Random): void {
  const from = pick(random, nodes);
  const forMs = between(random, 0, plan.clogMsMax);
  const isAllWays = chance(random, 0.3);
  for (const to of isAllWays ? nodes : [pick(random, nodes)]) {
    if (to !== from) weather.clog(from.id, to.id, clock.monotonic() + forMs);
  }
  trace.add(from.name, `has ${isAllWays ? 'all ways' : 'a way'} clogged for ${Math.round(forMs)} ms`);
}

export const CUTS: readonly Cut[] = [
  function halves({ network, nodes }, random) {
    const ids = nodes.map((node) => node.id);
    const left = ids.filter(() => chance(random, 0.5));
    network.partition([left, ids.filter((id) => !left.includes(id))]);
    return `parts ${namesOf(nodes, left)} from the others`;
  },
  function alone(world, random) {
    const { network, nodes } = world;
    const victim = chance(random, 0.6) ? (world.leader ?? pick(random, nodes)) : pick(random, nodes);
    network.partition([[victim.id], nodes.filter((node) => node !== victim).map((node) => node.id)]);
    return `leaves ${victim.name} alone`;
  },
  function oneWay({ network, nodes }, random) {
    const from = pick(random, nodes);
    const others = nodes.filter((node) => node !== from && chance(random, 0.6));
    const isOutward = chance(random, 0.5);
    for (const { id } of others) network.cut(isOutward ? from.id : id, isOutward ? id : from.id);
    const names = others.map((node) => node.name).join();
    return `cuts the ways ${isOutward ? `from ${from.name} to ${names}` : `from ${names} to ${from.name}`}`;
  },
  function partial({ network, nodes }, random) {
    let count = 0;
    for (const left of nodes) {
      for (const right of nodes) {
        if (left.id >= right.id || chance(random, 0.6)) continue;
        network.cut(left.id, right.id);
        network.cut(right.id, left.id);
        count += 1;
      }
    }
    return `cuts ${count} pairs of nodes apart`;
  },
  /** One server reaches all, the others only it: whoever else leads loses its majority (Howard and Abraham). */
  function hub({ network, servers }, random) {
    const middle = pick(random, servers);
    cutAllBut(network, servers, (left, right) => left === middle || right === middle);
    return `lets the servers reach only ${middle.name}`;
  },
  /** Each reaches its neighbours alone. */
  function row({ network, servers }) {
    cutAllBut(network, servers, (left, right) => Math.abs(servers.indexOf(left) - servers.indexOf(right)) === 1);
    return 'lets the servers reach only their neighbours';
  },
];

type Servers = World['servers'];

export function cutAllBut(
  network: World['network'],
  servers: Servers,
  isKept: (left: Servers[number], right: Servers[number]) => boolean,
): void {
  for (const left of servers) {
    for (const right of servers) if (left !== right && !isKept(left, right)) network.cut(left.id, right.id);
  }
}

function namesOf(nodes: World['nodes'], ids: readonly string[]): string {
  return nodes
    .filter((node) => ids.includes(node.id))
    .map((node) => node.name)
    .join();
}
