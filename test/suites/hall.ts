import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Envelope, encodeEnvelope, NOBODY } from '../../src/cluster/envelope.ts';
import type { Hall } from '../../src/cluster/hall.ts';
import { A, B, C, KEY } from './strange-frames.ts';
import type { Life, TransportSubject } from './transport.ts';

/** A network with a hall, which nodes enter and leave. */
export interface HallSubject extends Omit<TransportSubject, 'open'> {
  enter(life: Life): Promise<Hall>;
}

/** What every twin of the hall port must do. */
export function hallSuite(name: string, create: () => Promise<HallSubject>): void {
  const check = (title: string, body: (world: World) => Promise<void>): void => {
    test(title, async () => {
      const subject = await create();
      try {
        await body(new World(subject));
      } finally {
        await subject.dispose();
      }
    });
  };

  describe(`${name}: words`, () => {
    check('a word is heard by all, the speaker too, and never within say', async (world) => {
      const [hall] = await world.enter({ nodeId: A, boot: 3 }, { nodeId: B, boot: 1 }, { nodeId: C, boot: 1 });

      hall.say(say('hello'));
      assert.deepEqual(world.heard, []);
      await world.settle();

      assert.deepEqual(world.heard.sort(), ['a3>a hello', 'a3>b hello', 'a3>c hello']);
    });

    check('words are heard before a cluster has a uuid, and across clusters of one name and key', async (world) => {
      const [hall] = await world.enter(
        { nodeId: A, boot: 1, cluster: '1'.repeat(32) },
        { nodeId: B, boot: 1, cluster: '2'.repeat(32) },
      );

      hall.say(say('I am of cluster 1'));
      await world.settle();

      assert.deepEqual(world.heard.sort(), ['a1>a I am of cluster 1', 'a1>b I am of cluster 1']);
    });

    check('words of earlier lives are heard too: that is how a clone is noticed', async (world) => {
      const [, hall] = await world.enter({ nodeId: A, boot: 1 }, { nodeId: B, boot: 7 });
      hall.say(say('seven'));
      await world.settle();

      await world.subject.inject('alive', NOBODY, seal({ from: B, fromBoot: 6, body: say('six') }));
      await world.settle();

      assert.deepEqual(world.heard.sort(), ['b6>a six', 'b6>b six', 'b7>a seven', 'b7>b seven']);
    });

    check('words are not counted: a copy of a directory counts as its original does, and is heard', async (world) => {
      const [hall] = await world.enter({ nodeId: A, boot: 3 });
      hall.say(say('the original'));
      await world.settle();

      for (const count of [0, 0, 1, 1]) {
        await world.subject.inject('alive', NOBODY, seal({ from: A, fromBoot: 3, count, body: say('the copy') }));
      }
      await world.settle();

      assert.deepEqual(world.heard, ['a3>a the original', ...Array.from({ length: 4 }, () => 'a3>a the copy')]);
    });

    check('a hall has one listener', async (world) => {
      const [hall] = await world.enter({ nodeId: A, boot: 1 });

      assert.throws(() => hall.onWord(() => {}), /one listener/);
    });

    check('who has left hears nothing and is not heard', async (world) => {
      const [left, right] = await world.enter({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      await right.close();

      right.say(say('from outside'));
      left.say(say('inside'));
      await world.settle();

      assert.deepEqual(world.heard, ['a1>a inside']);
      assert.deepEqual([left.isOpen, right.isOpen], [true, false]);
    });
  });

  describe(`${name}: a hall that is away`, () => {
    check('it says so; nothing that is said meanwhile is ever heard; later words are, once', async (world) => {
      const [hall] = await world.enter({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      assert.equal(hall.isOpen, true);
      await world.subject.takeDown();
      assert.equal(hall.isOpen, false);
      hall.say(say('lost'));
      await world.subject.bringUp();
      assert.equal(hall.isOpen, true);

      hall.say(say('back'));
      await world.settle();

      assert.deepEqual(world.heard.sort(), ['a1>a back', 'a1>b back']);
    });
  });

  describe(`${name}: strangers`, () => {
    const STRANGE: readonly { readonly title: string; readonly reason: string; readonly frame: () => Uint8Array }[] = [
      { title: 'nothing', reason: 'short', frame: () => new Uint8Array(0) },
      { title: 'text', reason: 'version', frame: () => say('hello') },
      { title: 'a word that was cut', reason: 'crc', frame: () => seal({}).subarray(0, 90) },
      { title: 'another key', reason: 'mac', frame: () => seal({}, say('another key')) },
      { title: 'no key', reason: 'mac', frame: () => seal({}, new Uint8Array(0)) },
      { title: 'a frame within a cluster', reason: 'cluster', frame: () => seal({ cluster: '1'.repeat(32) }) },
      { title: 'a frame of another channel', reason: 'channel', frame: () => seal({ channel: 'leader' }) },
      { title: 'a frame for one other node', reason: 'addressee', frame: () => seal({ to: C }) },
    ];
    for (const { title, reason, frame } of STRANGE) {
      check(`refused as ${reason}, counted and not answered: ${title}`, async (world) => {
        const [hall] = await world.enter({ nodeId: A, boot: 1 });

        await world.subject.inject('alive', NOBODY, frame());
        await world.settle();
        assert.deepEqual(world.heard, []);
        assert.deepEqual(world.subject.refused(), { [reason]: 1 });

        hall.say(say('well'));
        await world.settle();
        assert.deepEqual(world.heard, ['a1>a well']);
      });
    }
  });
}

/** Nodes in the subject's hall, and what they hear. */
class World {
  readonly subject: HallSubject;
  /** `a1>b text`: what node a in boot 1 said, as node b heard it. */
  readonly heard: string[] = [];

  constructor(subject: HallSubject) {
    this.subject = subject;
  }

  async enter<const Lives extends readonly Life[]>(
    ...lives: Lives
  ): Promise<{ -readonly [Place in keyof Lives]: Hall }> {
    const halls: Hall[] = [];
    for (const life of lives) {
      const hall = await this.subject.enter(life);
      hall.onWord(({ from, fromBoot, body }) => {
        this.heard.push(`${from[0]}${fromBoot}>${life.nodeId[0]} ${new TextDecoder().decode(body)}`);
      });
      halls.push(hall);
    }
    await this.settle();
    return halls as { -readonly [Place in keyof Lives]: Hall };
  }

  settle(): Promise<void> {
    return this.subject.settle();
  }
}

/** A word of node B in boot 1. */
function seal(envelope: Partial<Envelope>, key: Uint8Array = KEY): Uint8Array {
  const fields: Envelope = {
    channel: 'alive',
    thread: 'main',
    group: 0,
    cluster: NOBODY,
    from: B,
    fromBoot: 1,
    to: NOBODY,
    toBoot: 0,
    count: 0,
    body: say('a word'),
  };
  return encodeEnvelope({ ...fields, ...envelope }, key);
}

function say(words: string): Uint8Array {
  return new TextEncoder().encode(words);
}
