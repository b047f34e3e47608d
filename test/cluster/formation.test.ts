import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CodedError } from '../../src/base/errors.ts';
import { seededRandom } from '../../src/base/random.ts';
import { joinCluster } from '../../src/cluster/identity.ts';
import { type NodeWanted, TestNode, World } from './formation-world.ts';

function setup(): World {
  return new World(seededRandom(4));
}

function start(world: World, ...wanted: readonly NodeWanted[]): TestNode[] {
  const nodes = wanted.map((want) => new TestNode(world, want));
  for (const node of nodes) node.start();
  return nodes;
}

const TRIO: readonly NodeWanted[] = [{ name: 's1' }, { name: 's2' }, { name: 's3' }];

async function startTrio(world: World): Promise<readonly [TestNode, TestNode, TestNode]> {
  const [first, second, third] = start(world, ...TRIO);
  assert(first !== undefined && second !== undefined && third !== undefined);
  await world.until(() => [first, second, third].every(({ formed }) => formed !== undefined));
  return [first, second, third];
}

test('three servers found one cluster within two seconds, and stay in it after a restart', async () => {
  const world = setup();

  const nodes = await startTrio(world);

  const tookMs = world.clock.monotonic();
  assert(tookMs < 2_000, `took ${tookMs} ms`);
  const [formation] = nodes.map(({ formed }) => formed?.formation);
  assert.deepEqual(formation?.voters, nodes.map(({ identity }) => identity?.nodeId).sort());
  for (const { formed, identity } of nodes) {
    assert.deepEqual(formed?.formation, formation);
    assert.equal(identity?.promise, null);
  }

  const [last] = nodes.slice(-1);
  last?.crash();
  last?.start();
  await world.advance(500);
  assert.deepEqual(last?.formed?.formation, formation);
});

test('a late third server completes the cluster', async () => {
  const world = setup();
  const [first] = start(world, { name: 's1' }, { name: 's2' });
  await world.advance(20_000);
  assert.equal(first?.lines.at(-1), '2 of 3 servers wait (s1, s2)');
  assert((first?.lines.length ?? 0) <= 8, 'a line every few seconds');

  start(world, { name: 's3' });

  await world.until(() => first?.formed !== undefined, 3_000);
});

test('of four servers none founds a cluster until one is stopped', async () => {
  const world = setup();
  const nodes = start(world, ...TRIO, { name: 's4' });
  await world.advance(20_000);
  for (const { formed, lines } of nodes) {
    assert.equal(formed, undefined);
    assert.match(lines.at(-1) ?? '', /^4 servers wait \(s1, s2, s3, s4\), --bootstrap-expect says 3: stop 1/);
  }

  nodes.pop()?.crash();

  await world.until(() => nodes.every(({ formed }) => formed !== undefined), 3_000);
});

test('a server that comes when the cluster exists waits to be added; a wiped one to replace what it was', async () => {
  const world = setup();
  const [, , third] = await startTrio(world);
  third.crash();
  third.wipe();
  third.start();
  const [fourth] = start(world, { name: 's4' });

  await world.advance(60_000);

  assert(third.formed === undefined && fourth?.formed === undefined);
  assert.match(fourth?.lines.at(-1) ?? '', /^cluster demo exists \(3 servers: .*: carillon cluster add s4$/);
  assert.match(third.lines.at(-1) ?? '', /Its server s3 had another data directory .*: carillon cluster replace s3$/);
  assert((fourth?.lines.length ?? 0) <= 16, 'a line every few seconds');
});

test('a proposer that crashed before it founded the cluster proposes it again', async () => {
  const world = setup();
  const nodes = start(world, ...TRIO);
  const isProposing = ({ identity }: TestNode) => identity?.promise?.proposer === identity?.nodeId;
  await world.until(() => nodes.some(({ identity }) => identity?.promise != null) && nodes.some(isProposing));
  const proposer = nodes.find(isProposing);
  assert(proposer !== undefined);
  const uuid = proposer.identity?.promise?.clusterUuid;
  proposer.crash();
  await world.advance(30_000);
  assert(nodes.every(({ formed }) => formed === undefined));

  proposer.start();
  await world.until(() => nodes.every(({ formed }) => formed !== undefined), 3_000);

  assert(nodes.every(({ identity }) => identity?.clusterUuid === uuid));
});

test('a server that expects only itself founds a cluster as soon as it has listened', async () => {
  const world = setup();
  const [only] = start(world, { name: 's1', expect: 1 });

  await world.until(() => only?.formed !== undefined, 600);

  assert.deepEqual(only?.formed?.formation.voters, [only?.identity?.nodeId]);
});

test('while NATS is away a node waits and says so, and starts to listen when it is back', async () => {
  const world = setup();
  world.isHallOpen = false;
  const [only] = start(world, { name: 's1', expect: 1 });
  await world.advance(12_000);
  assert.deepEqual(only?.lines, Array(3).fill('NATS is not reachable; waits for it'));

  world.isHallOpen = true;
  await world.advance(250);
  assert.equal(only?.identity?.clusterUuid, null);

  await world.until(() => only?.formed !== undefined, 600);
});

test('an agent waits for a cluster of its name, and knows it from then on', async () => {
  const world = setup();
  const [agent] = start(world, { name: 'a1', isServer: false });
  const [stranger] = start(world, { name: 's1', clusterName: 'demo', expect: 3 });
  await world.advance(6_000);
  assert.equal(agent?.lines.at(-1), 'waits for the servers of cluster demo; heard so far: s1');
  stranger?.crash();

  const [server] = await startTrio(world);
  await world.until(() => agent?.formed !== undefined, 2_000);

  assert.deepEqual(agent?.formed?.formation, server.formed?.formation);
  assert.deepEqual(agent?.identity?.voters, server.identity?.voters);
});

test('an agent that knows its cluster starts without its servers', async () => {
  const world = setup();
  const nodes = await startTrio(world);
  const [agent] = start(world, { name: 'a1', isServer: false });
  await world.until(() => agent?.formed !== undefined);
  for (const node of [...nodes, agent]) node?.crash();

  agent?.start();

  await world.until(() => agent?.formed !== undefined, 500);
});

test('an agent notes other voters when it hears of them', async () => {
  const world = setup();
  const [agent] = start(world, { name: 'a1', isServer: false });
  const [server] = start(world, { name: 's1', expect: 1 });
  await world.until(() => agent?.formed !== undefined && server?.formed !== undefined);
  const { formed, directory } = server as TestNode;
  assert(formed !== undefined);
  const voters = [...formed.formation.voters, 'f'.repeat(32)];

  const identity = joinCluster(directory, formed.identity, formed.formation.clusterUuid, voters);
  await world.advance(10);
  formed.presence.become({ identity: await identity });
  await world.until(() => agent?.identity?.voters?.length === 2, 12_000);
  await world.advance(12_000);

  assert.deepEqual(agent?.voters, [voters], 'told once');
  assert.equal(agent?.formed?.presence.identity.voters?.length, 2);
});

test('two fresh servers with one name: one stays, the other is told', async () => {
  const world = setup();
  const twins = start(world, { name: 's1' }, { name: 's1' });

  await world.until(() => twins.some(({ isUp }) => !isUp), 1_000);
  await world.advance(5_000);

  assert.equal(twins.filter(({ isUp }) => isUp).length, 1);
  const refused = twins.find(({ isUp }) => !isUp);
  assert.match(refused?.refusal ?? '', /^the name s1 is taken in cluster demo: node s1 .* is alive in boot 1, this is/);
});

test('a second process on a copied directory is refused, and the first one runs on', async () => {
  const world = setup();
  const [first] = await startTrio(world);
  const [copy] = start(world, { name: 's1', directory: first.directory.copy('the copy') });

  await world.until(() => copy?.isUp === false, 1_000);
  await world.advance(3_000);

  assert.match(copy?.refusal ?? '', /^node s1 .* is alive in another process/);
  assert.equal(first.mustStop, undefined);
  assert.deepEqual(first.formed?.presence.conflicts(), []);
});

test('a copy that was refused does not keep the node itself from starting again', async () => {
  const world = setup();
  const [first] = await startTrio(world);
  const [copy] = start(world, { name: 's1', directory: first.directory.copy('the copy') });
  for (let tries = 0; tries < 3; tries += 1) {
    await world.until(() => copy?.isUp === false, 1_000);
    if (tries < 2) copy?.start();
  }

  first.crash();
  first.start();

  await world.until(() => first.formed !== undefined, 500);
});

test('a directory that was rolled back is refused, at each start anew', async () => {
  const world = setup();
  const [first] = await startTrio(world);
  const old = first.directory.copy('the backup');
  for (let restarts = 0; restarts < 2; restarts += 1) {
    first.crash();
    first.start();
    await world.until(() => first.formed !== undefined);
  }
  first.crash();

  const [restored] = start(world, { name: 's1', directory: old });
  assert(restored !== undefined);
  for (let starts = 0; starts < 4; starts += 1) {
    if (starts > 0) restored.start();
    await world.until(() => !restored.isUp, 1_000);

    assert.match(restored.refusal, /was heard in boot 3, and its directory says boot 2: it is a copy or was rolled/);
    assert(restored.error instanceof CodedError && restored.error.code === 'directory-unusable');
  }
});

test('a life that stood still while a newer one started must stop as soon as it hears of it', async () => {
  const world = setup();
  const [first] = await startTrio(world);
  first.setPaused(true);
  const [newer] = start(world, { name: 's1', directory: first.directory });
  await world.until(() => newer?.formed !== undefined, 1_000);

  first.setPaused(false);
  await world.until(() => first.mustStop !== undefined, 1_100);

  assert.match(String(first.mustStop), /node s1 .* runs in boot 2 by now, this is boot 1: it stops/);
  assert.equal(newer?.mustStop, undefined);
});

test('two clusters of one name: who starts is refused, who runs says so until the other is gone', async () => {
  const world = setup();
  const own = start(world, { name: 's1', expect: 1 });
  await world.until(() => own[0]?.formed !== undefined);
  world.cuts.add('s1 t1').add('t1 s1');
  const [foreign] = start(world, { name: 't1', expect: 1 });
  await world.until(() => foreign?.formed !== undefined);
  world.cuts.clear();

  await world.advance(2_000);
  for (const node of [own[0], foreign]) {
    assert.match(
      node?.formed?.presence.conflicts().join() ?? '',
      /^two clusters are called demo: this node belongs to/,
    );
  }
  assert(own[0]?.lines.some((line) => /two clusters/.test(line)));
  assert((own[0]?.lines.length ?? 0) < 10, 'few lines, however many words');

  foreign?.crash();
  foreign?.start();
  await world.until(() => foreign?.isUp === false, 1_000);
  assert.match(foreign?.refusal ?? '', /^two clusters are called demo: .* stop the servers of one/);
  await world.advance(5_000);
  assert.deepEqual(own[0]?.formed?.presence.conflicts(), []);
});

test('waiting ends with the reason of the signal', async () => {
  const world = setup();
  const [node] = start(world, { name: 's1' });
  await world.advance(2_000);

  node?.abort(new Error('a signal came'));
  await world.advance(100);

  assert.equal(node?.refusal, 'a signal came');
});
