/**
 * Genesis under faults, from seeds: servers started in any order, crashed and started again at any moment, disks kept
 * or wiped, words lost, doubled, late and out of order, NATS away. No two clusters ever share a server or stand in the
 * directories of one set; and once faults stop and an operator has done what the log lines say, there is exactly one.
 *
 * `SEEDS=1000 FROM=1 node --test dist/test/cluster/formation-genesis.test.js` runs more; a failure names its seed.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Random, randomInteger, seededRandom } from '../../src/base/random.ts';
import { TestNode, World } from './formation-world.ts';

const SEEDS = Number(process.env['SEEDS'] ?? 30);
const FROM = Number(process.env['FROM'] ?? 1);
const EXPECT = 3;
const STEPS = 60;
const ROUNDS_MAX = 12;

for (let seed = FROM; seed < FROM + SEEDS; seed += 1) {
  test(`exactly one cluster forms, whatever happens before, seed ${seed}`, async () => {
    await runStory(seededRandom(seed * 7919));
  });
}

async function runStory(random: Random): Promise<void> {
  const world = new World(random);
  world.loss = random() * 0.4;
  world.duplicates = random() * 0.3;
  world.delayMsMax = random() < 0.5 ? 20 : 700;
  world.writeDelayMsMax = random() < 0.5 ? 5 : 300;
  const count = randomInteger(random, EXPECT, 2 * EXPECT - 1);
  const servers = Array.from({ length: count }, (_, at) => new TestNode(world, { name: `s${at + 1}` }));
  const agent = new TestNode(world, { name: 'a1', isServer: false });
  const law = new Law();
  if (random() < 0.6) for (let pairs = count - EXPECT; pairs > 0; pairs -= 1) separateTwo(world, random, count);
  // With twice as many directories as a cluster has there can be two, of which one is lost or does not hear the other.
  let wipesLeft = count === EXPECT ? 3 : 2 * EXPECT - 1 - count;

  for (let step = 0; step < STEPS; step += 1) {
    const node = servers[randomInteger(random, 0, count - 1)];
    assert(node !== undefined);
    const event = random();
    if (event < 0.3 && !node.isUp) node.start();
    else if (event < 0.38 && node.isUp) {
      node.crash();
      if (wipesLeft > 0 && random() < 0.4) {
        wipesLeft -= 1;
        node.wipe();
      }
    } else if (event < 0.41 && !agent.isUp) agent.start();
    else if (event > (world.isHallOpen ? 0.98 : 0.8)) world.isHallOpen = !world.isHallOpen;
    // Often long enough for the next step of genesis, seldom for all of them.
    await world.advance(random() * (random() < 0.7 ? 200 : 1_500));
    law.check(servers);
  }

  Object.assign(world, { loss: 0, duplicates: 0, delayMsMax: 5, writeDelayMsMax: 5, isHallOpen: true });
  world.cuts.clear();
  if (!agent.isUp) agent.start();
  await operate(world, servers, law);
  const uuids = new Set(servers.flatMap(({ identity }) => identity?.clusterUuid ?? []));
  assert.equal(uuids.size, 1);
  await world.until(() => agent.formed !== undefined || !agent.isUp);
  if (agent.identity?.clusterUuid !== [...uuids][0]) {
    // The only server that knew the agent's cluster was wiped: the agent was left behind, and says so.
    const text = agent.formed?.presence.conflicts().join() ?? agent.refusal;
    assert.match(text, /two clusters are called demo.*start this agent with an empty directory/);
    if (agent.isUp) agent.crash();
    agent.wipe();
    agent.start();
    await world.until(() => agent.formed !== undefined);
  }
  assert.equal(agent.identity?.clusterUuid, [...uuids][0]);
  assert.deepEqual(agent.formed?.formation.voters, servers.find(({ formed }) => formed)?.formed?.formation.voters);
  // After a restart of all, everybody is where it was.
  const members = servers.filter(({ formed }) => formed !== undefined);
  for (const member of members) member.crash();
  for (const member of members) member.start();
  await world.until(() => members.every(({ formed }) => formed !== undefined));
  law.check(servers);
}

/** Two that never hear each other, beside others who hear both: so each finds a full set of its own. */
function separateTwo({ cuts }: World, random: Random, count: number): void {
  const one = `s${randomInteger(random, 1, count)}`;
  const other = `s${randomInteger(random, 1, count)}`;
  cuts.add(`${one} ${other}`).add(`${other} ${one}`);
}

/** Starts what is down, and does what the lines say, until every server runs or was told that the cluster exists. */
async function operate(world: World, servers: TestNode[], law: Law): Promise<void> {
  for (let round = 0; round < ROUNDS_MAX; round += 1) {
    // Who was refused during the faults may have been so by a cluster that is gone.
    for (const server of servers) if (!server.isUp && (round === 0 || !isRefused(server))) server.start();
    await world.advance(16_000);
    law.check(servers);
    const waiting = servers.filter((server) => server.isUp && server.formed === undefined && !isLeftOver(server));
    if (waiting.length === 0) return;
    for (const server of waiting) {
      const line = server.lines.at(-1) ?? '';
      if (/stop \d of them/.test(line)) {
        server.crash();
        servers.splice(servers.indexOf(server), 1);
        break;
      }
      // "empty the directory of s2" may be said by another.
      const named = /empty the directory of (s\d)/.exec(line)?.[1];
      const wiped = named === undefined ? server : servers.find(({ name }) => name === named);
      if (!/empty the directory/.test(line) || wiped === undefined || !wiped.isUp) continue;
      wiped.crash();
      wiped.wipe();
    }
  }
  assert.fail(`still not one cluster: ${servers.map(({ name, lines }) => `${name}: ${lines.at(-1)}`).join('; ')}`);
}

/** It came too late, or had a directory once that is gone: an operator may add it. */
function isLeftOver({ lines }: TestNode): boolean {
  return /^cluster demo exists \(3 servers: .*carillon cluster (add|replace) s\d$/.test(lines.at(-1) ?? '');
}

/** Nobody in these stories is a duplicate, so there is one reason to be refused. */
function isRefused({ error, refusal }: TestNode): boolean {
  if (error === undefined) return false;
  assert.match(refusal, /^cluster demo exists \(3 servers: /);
  return true;
}

/** What must hold at every moment. */
class Law {
  /** uuid → voters, of every cluster that ever stood in a directory. */
  readonly #clusters = new Map<string, string>();
  readonly #clusterOf = new Map<string, string>();

  check(servers: readonly TestNode[]): void {
    const present = new Set<string>();
    for (const { identity, formed, error, refusal, mustStop } of servers) {
      assert.equal(mustStop, undefined);
      if (error !== undefined) assert.match(refusal, /^cluster demo exists/);
      if (formed !== undefined) {
        assert.equal(formed.formation.clusterUuid, identity?.clusterUuid);
        assert.deepEqual(formed.formation.voters, identity?.voters);
        assert.deepEqual(formed.presence.conflicts(), []);
      }
      if (identity === undefined || identity.clusterUuid === null) continue;
      present.add(identity.clusterUuid);
      const voters = identity.voters ?? [];
      assert(voters.includes(identity.nodeId), 'a server joined a cluster in which it does not vote');
      assert.equal(voters.length, EXPECT);
      this.#note(identity.clusterUuid, voters);
    }
    assert(present.size <= 1, `clusters under one name: ${[...present].join(', ')}`);
  }

  #note(uuid: string, voters: readonly string[]): void {
    const known = this.#clusters.get(uuid);
    this.#clusters.set(uuid, voters.join());
    assert(known === undefined || known === voters.join(), `cluster ${uuid} has two sets of voters`);
    for (const voter of voters) {
      const other = this.#clusterOf.get(voter);
      this.#clusterOf.set(voter, uuid);
      assert(other === undefined || other === uuid, `server ${voter} votes in ${other} and in ${uuid}`);
    }
  }
}
