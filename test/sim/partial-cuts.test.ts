import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutAllBut } from './network-faults.ts';
import { QUIET } from './plan.ts';
import type { SimNode } from './sim-node.ts';
import { PLAIN_JOB, Workload } from './workload.ts';
import { World } from './world.ts';

const LEADER_MS = 12_000;
const STEADY_MS = 60_000;

test('where five servers reach only one of them, that one leads, and nobody deposes it (known bug 31)', async () => {
  const world = await worldWithLeader(5);
  const hub = world.servers.find((server) => server !== world.leader) as SimNode;

  cutAllBut(world.network, world.servers, (left, right) => left === hub || right === hub);
  await world.runUntil(
    () => world.leader === hub,
    LEADER_MS,
    () => `${hub.name}, which alone reaches a majority, leads`,
  );
  const { elections } = world.invariants;
  await world.runFor(STEADY_MS);

  assert.equal(world.leader, hub);
  assert.equal(world.invariants.elections, elections);
});

test('a leader that hears nobody, though it is heard by all, makes room for another', async () => {
  const world = await worldWithLeader(3);
  const deaf = world.steadyLeader;

  for (const server of world.servers) if (server !== deaf) world.network.cut(server.id, deaf.id);
  await world.runUntil(
    () => world.leader !== undefined && world.leader !== deaf,
    LEADER_MS,
    () => 'another leader',
  );
  const { elections } = world.invariants;
  await world.runFor(STEADY_MS);

  assert.notEqual(world.leader, deaf);
  assert.equal(world.invariants.elections, elections);
});

test('a leader whose disk hangs makes room for another, and is not elected again', async () => {
  const world = await worldWithLeader(3);
  const hung = world.steadyLeader;

  const workload = new Workload(world);
  hung.drive.freeze();
  workload.submit(hung, workload.make({ type: 'put-job', job: { ...PLAIN_JOB, name: 'any' }, runOnCreate: false }));
  await world.runUntil(
    () => world.leader !== undefined && world.leader !== hung,
    LEADER_MS,
    () => 'another leader',
  );
  const { elections } = world.invariants;
  await world.runFor(STEADY_MS);

  assert.notEqual(world.leader, hung);
  assert.equal(world.invariants.elections, elections);
});

async function worldWithLeader(voters: number): Promise<World> {
  const world = new World({ seed: 1, plan: { ...QUIET, voters } });
  for (const node of world.nodes) node.start();
  await world.runUntil(
    () => world.leader !== undefined,
    LEADER_MS,
    () => 'a leader',
  );
  await world.runFor(1_000);
  return world;
}
