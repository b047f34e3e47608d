import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { seededRandom } from '../../src/base/random.ts';
import type { Job } from '../../src/jobs/job.ts';
import {
  matchesTags,
  type ParsedTags,
  type PlacementNode,
  parseTags,
  placeRun,
  tagsOfNode,
  wantedTargets,
} from '../../src/jobs/placement.ts';
import { printedRandom } from './seed.ts';

const { random, seed } = printedRandom('placement');

function tagsOf(tags: Job['tags']): ParsedTags {
  const parsed = parseTags(tags);
  assert(parsed.type === 'tags');
  return parsed;
}

function node(name: string, changes: Partial<PlacementNode> = {}): PlacementNode {
  return { nodeId: `id-${name}`, name, tags: { role: 'web' }, slots: 2, freeSlots: 2, isLive: true, ...changes };
}

function place(nodes: readonly PlacementNode[], tags: Job['tags'], targets: Job['targets'] = null) {
  return placeRun({ nodes, tags: tagsOf(tags), targets, defaultTargets: 'all', random });
}

test('tags are conditions, and the smallest count at their ends counts', () => {
  assert.deepEqual(parseTags(null), { type: 'tags', conditions: {}, count: null });
  assert.deepEqual(parseTags({ my_role: 'web:1' }), { type: 'tags', conditions: { my_role: 'web' }, count: 1 });
  assert.deepEqual(parseTags({ a: 'x:5', b: 'y:2', c: 'z' }), {
    type: 'tags',
    conditions: { a: 'x', b: 'y', c: 'z' },
    count: 2,
  });
  assert.deepEqual(parseTags({ address: 'host:80:3' }), { type: 'tags', conditions: { address: 'host:80' }, count: 3 });
  assert.equal(tagsOf({ a: 'x:1000' }).count, 1_000);
});

test('a count that is no number from 1 to 1000 is a fault that names the tag', () => {
  for (const value of ['web:0', 'web:1001', 'web:', 'web:x', 'web:-1', 'web:1.5', 'web:+1', 'web: 1', ':']) {
    const parsed = parseTags({ my_role: value });

    assert(parsed.type === 'fault', value);
    assert.equal(parsed.fault.field, 'tags.my_role');
    assert.equal(parsed.fault.value, value);
  }
});

test('a node matches when it carries every tag', () => {
  const carrier = { tags: { role: 'web', zone: 'a' } };

  assert.equal(matchesTags(carrier, {}), true);
  assert.equal(matchesTags(carrier, { role: 'web', zone: 'a' }), true);
  assert.equal(matchesTags(carrier, { role: 'web', zone: 'b' }), false);
  assert.equal(matchesTags(carrier, { other: 'web' }), false);
  assert.equal(matchesTags(carrier, { toString: 'web' }), false);
});

test('a node can be selected by what it is, which wins over a tag of that name', () => {
  const tags = tagsOfNode({ tags: { role: 'web', server: 'big' }, isServer: true, version: '1.2.3' });

  assert.deepEqual(tags, { role: 'web', server: 'true', version: '1.2.3' });
  assert.equal(matchesTags({ tags }, tagsOf({ server: 'true:1', version: '1.2.3' }).conditions), true);
  assert.equal(matchesTags({ tags }, { server: 'big' }), false);
});

test('the number wanted is the smallest that the job names, else the default', () => {
  assert.equal(wantedTargets(null, null, 'all'), 'all');
  assert.equal(wantedTargets(null, null, 3), 3);
  assert.equal(wantedTargets(null, 'all', 3), 'all');
  assert.equal(wantedTargets(2, null, 1), 2);
  assert.equal(wantedTargets(2, 'all', 1), 2);
  assert.equal(wantedTargets(5, 2, 'all'), 2);
  assert.equal(wantedTargets(2, 5, 'all'), 2);
});

test('a run goes to all nodes that match, waits for a slot, or has no target', () => {
  const web = node('web');
  const busy = node('busy', { freeSlots: 0 });
  const dead = node('dead', { isLive: false });
  const idle = node('idle', { slots: 0, freeSlots: 0 });
  const other = node('other', { tags: { role: 'db' } });
  const noTarget = { type: 'no-target' };
  const noSlot = { type: 'no-slot' };
  const onWeb = { type: 'placed', nodes: ['id-web'] };

  assert.deepEqual(place([], null), noTarget);
  assert.deepEqual(place([dead, other, idle], { role: 'web' }), noTarget);
  assert.deepEqual(place([web, dead, idle, other], { role: 'web' }), onWeb);
  assert.deepEqual(place([web, busy], { role: 'web' }), noSlot);
  assert.deepEqual(place([web, busy], { role: 'web:1' }), onWeb);
  assert.deepEqual(place([web, busy], { role: 'web:2' }), noSlot);
  assert.deepEqual(place([web], { role: 'web:5' }), onWeb);
  assert.deepEqual(place([busy], { role: 'web:1' }), noSlot);
  assert.deepEqual(place([web, busy], null, 1), onWeb);
  assert.deepEqual(place([web, busy], { role: 'web:2' }, 1), onWeb);
});

test('a placement is free, live, matching, without repeats and of the number wanted', () => {
  const nodes = fc.array(
    fc.record({
      tags: fc.constantFrom({ role: 'web' }, { role: 'db' }),
      slots: fc.nat(2),
      used: fc.nat(2),
      isLive: fc.boolean(),
    }),
    { maxLength: 12 },
  );
  fc.assert(
    fc.property(nodes, fc.option(fc.integer({ min: 1, max: 8 })), fc.integer(), (drafts, count, drawSeed) => {
      const all = drafts.map(({ used, ...draft }, index) =>
        node(`${index}`, { ...draft, freeSlots: Math.max(0, draft.slots - used) }),
      );
      const tags = tagsOf({ role: count === null ? 'web' : `web:${count}` });

      const placement = placeRun({
        nodes: all,
        tags,
        targets: null,
        defaultTargets: 'all',
        random: seededRandom(drawSeed),
      });

      const candidates = all.filter((each) => each.isLive && each.slots > 0 && each.tags['role'] === 'web');
      const free = candidates.filter((each) => each.freeSlots > 0).map((each) => each.nodeId);
      const wanted = Math.min(count ?? candidates.length, candidates.length);
      if (candidates.length === 0) return assert.equal(placement.type, 'no-target');
      if (free.length < wanted) return assert.equal(placement.type, 'no-slot');
      assert(placement.type === 'placed');
      assert.equal(placement.nodes.length, wanted);
      assert.equal(new Set(placement.nodes).size, wanted);
      assert.ok(placement.nodes.every((nodeId) => free.includes(nodeId)));
    }),
    { seed },
  );
});

test('every node is drawn about as often as the others', () => {
  const nodes = ['a', 'b', 'c', 'd', 'e'].map((name) => node(name));
  const drawn = new Map<string, number>();
  const fixed = seededRandom(1);

  for (let round = 0; round < 5_000; round += 1) {
    const placement = placeRun({ nodes, tags: tagsOf(null), targets: 2, defaultTargets: 'all', random: fixed });
    assert(placement.type === 'placed');
    for (const nodeId of placement.nodes) drawn.set(nodeId, (drawn.get(nodeId) ?? 0) + 1);
  }

  assert.equal(drawn.size, 5);
  for (const times of drawn.values()) assert.ok(Math.abs(times - 2_000) < 200, `${times}`);
});
