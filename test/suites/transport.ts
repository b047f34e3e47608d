import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { NOBODY } from '../../src/cluster/envelope.ts';
import type { Channel, Transport } from '../../src/cluster/transport.ts';
import { A, B, C, STRANGE, say, seal } from './strange-frames.ts';

/** One life of a node, on a network whose nodes have `CLUSTER` and `KEY` unless they say otherwise. */
export interface Life {
  readonly nodeId: string;
  readonly boot: number;
  /** Default true. Agents hear only `exec` and `leader`. */
  readonly isServer?: boolean;
  readonly cluster?: string;
  readonly key?: Uint8Array;
}

/** A network on which nodes live and die. */
export interface TransportSubject {
  open(life: Life): Promise<Transport>;
  /** Its process is gone, without a farewell. */
  crash(nodeId: string): Promise<void>;
  /** Resolves when all that was sent has arrived or is lost for good. */
  settle(): Promise<void>;
  /** A stranger on the network, who may have caught frames. `NOBODY`: to all who listen. */
  inject(channel: Channel, to: string, frame: Uint8Array): Promise<void>;
  /** The network goes away and every node has noticed; it comes back and every node is there again. */
  takeDown(): Promise<void>;
  bringUp(): Promise<void>;
  /** How many frames were refused, by reason; reasons without any are left out. */
  refused(): Readonly<Record<string, number>>;
  dispose(): Promise<void>;
}

/** What every twin of the transport port must do. */
export function transportSuite(name: string, create: () => Promise<TransportSubject>): void {
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

  describe(`${name}: frames`, () => {
    check('a frame arrives once, with sender, boot and channel, and never within send', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 4 }, { nodeId: B, boot: 1 });

      left.send(B, 'raft', say('vote'));
      assert.deepEqual(world.heard, []);
      await world.settle();

      assert.deepEqual(world.heard, ['a4>b raft vote']);
    });

    check('each channel reaches the node that it names, and no other', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 }, { nodeId: C, boot: 1 });
      const channels: readonly Channel[] = ['raft', 'bulk', 'exec', 'forward', 'report'];

      for (const channel of channels) left.send(B, channel, say('x'));
      await world.settle();

      assert.deepEqual(world.heard.sort(), channels.map((channel) => `a1>b ${channel} x`).sort());
    });

    check('frames on one channel arrive in the order sent, each once', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      const texts = Array.from({ length: 500 }, (_, place) => String(place));

      for (const text of texts) left.send(B, 'raft', say(text));
      await world.settle();

      assert.deepEqual(
        world.heard,
        texts.map((text) => `a1>b raft ${text}`),
      );
    });

    check('the beacon reaches servers, agents and its sender', async (world) => {
      const [left] = await world.live(
        { nodeId: A, boot: 1 },
        { nodeId: B, boot: 1 },
        { nodeId: C, boot: 1, isServer: false },
      );

      left.broadcast('leader', say('here'));
      await world.settle();

      assert.deepEqual(world.heard.sort(), ['a1>a leader here', 'a1>b leader here', 'a1>c leader here']);
    });

    check('an agent hears orders, and nothing that is for servers', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1, isServer: false });

      for (const channel of ['raft', 'bulk', 'forward', 'report', 'exec'] as const) left.send(B, channel, say('x'));
      await world.settle();

      assert.deepEqual(world.heard, ['a1>b exec x']);
    });

    check('a node may send to itself', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 2 });

      left.send(A, 'exec', say('me'));
      await world.settle();

      assert.deepEqual(world.heard, ['a2>a exec me']);
    });

    check('half a megabyte arrives whole, an empty body too', async (world) => {
      const [left, right] = await world.liveSilently({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      const bodies: Uint8Array[] = [];
      right.onArrival(({ body }) => void bodies.push(Buffer.from(body)));
      const large = Buffer.alloc(512 * 1024, 'abcdefg');

      left.send(B, 'bulk', large);
      left.send(B, 'bulk', new Uint8Array(0));
      await world.settle();

      assert.deepEqual(
        bodies.map((body) => Buffer.compare(body, large) === 0 || body.byteLength),
        [true, 0],
      );
    });

    check('a frame that the network cannot carry is dropped; those behind it arrive', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });

      left.send(B, 'bulk', new Uint8Array(1024 * 1024));
      left.send(B, 'bulk', say('after'));
      await world.settle();

      assert.deepEqual(world.heard, ['a1>b bulk after']);
    });

    check('what the network doubles, or somebody sends again, arrives once and is counted', async (world) => {
      await world.live({ nodeId: B, boot: 1 });
      const frame = seal({ channel: 'forward', body: say('once') });

      await world.subject.inject('forward', B, frame);
      await world.subject.inject('forward', B, seal({ channel: 'forward', count: 2, body: say('next') }));
      await world.subject.inject('forward', B, frame);
      await world.settle();

      assert.deepEqual(world.heard, ['a1>b forward once', 'a1>b forward next']);
      assert.deepEqual(world.subject.refused(), { replay: 1 });
    });

    check('what its sender says again arrives again', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });

      for (let count = 0; count < 2; count += 1) left.send(B, 'forward', say('same'));
      await world.settle();

      assert.deepEqual(world.heard, ['a1>b forward same', 'a1>b forward same']);
      assert.deepEqual(world.subject.refused(), {});
    });

    check('the beacon, too, is heard once by each', async (world) => {
      await world.live({ nodeId: B, boot: 1 }, { nodeId: C, boot: 1, isServer: false });
      const frame = seal({ channel: 'leader', to: NOBODY, body: say('here') });

      for (let count = 0; count < 2; count += 1) await world.subject.inject('leader', NOBODY, frame);
      await world.settle();

      assert.deepEqual(world.heard.sort(), ['a1>b leader here', 'a1>c leader here']);
      assert.deepEqual(world.subject.refused(), { replay: 2 });
    });

    check('frames that overtake one another all arrive, each once', async (world) => {
      await world.live({ nodeId: B, boot: 1 });
      // 7 and 500 have no common divisor, so this is every count from 1 to 500, far from its place.
      const counts = Array.from({ length: 500 }, (_, place) => 1 + ((place * 7) % 500));

      for (const count of counts) await world.subject.inject('raft', B, seal({ count, body: say(String(count)) }));
      for (const count of counts) await world.subject.inject('raft', B, seal({ count, body: say(String(count)) }));
      await world.settle();

      assert.deepEqual(
        world.heard,
        counts.map((count) => `a1>b raft ${count}`),
      );
      assert.deepEqual(world.subject.refused(), { replay: 500 });
    });

    check(
      'a frame that thousands on its channel have overtaken is refused; other channels have their own',
      async (world) => {
        await world.live({ nodeId: B, boot: 1 });
        await world.subject.inject('raft', B, seal({ count: 5_000, body: say('new') }));

        await world.subject.inject('raft', B, seal({ count: 900, body: say('too old') }));
        await world.subject.inject('raft', B, seal({ count: 1_000, body: say('old') }));
        await world.subject.inject('bulk', B, seal({ count: 1, channel: 'bulk', body: say('slow') }));
        await world.subject.inject('raft', B, seal({ count: 1, thread: 'main', body: say('other thread') }));
        await world.settle();

        assert.deepEqual(world.heard.sort(), [
          'a1>b bulk slow',
          'a1>b raft new',
          'a1>b raft old',
          'a1>b raft other thread',
        ]);
        assert.deepEqual(world.subject.refused(), { replay: 1 });
      },
    );

    check('what is refused for another reason uses up no count', async (world) => {
      await world.live({ nodeId: B, boot: 1 });
      await world.subject.inject('raft', B, seal({ count: 1_000_000 }, say('another key')));
      await world.subject.inject('exec', B, seal({ count: 1_000_000 }));
      await world.subject.inject('raft', B, seal({ count: 1_000_000, group: 1 }));

      await world.subject.inject('raft', B, seal({ count: 1, body: say('first') }));
      await world.settle();

      assert.deepEqual(world.heard, ['a1>b raft first']);
      assert.deepEqual(world.subject.refused(), { mac: 1, channel: 1, addressee: 1 });
    });

    check('frames before somebody listens are lost, those after are heard', async (world) => {
      const [left, right] = await world.liveSilently({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      left.send(B, 'raft', say('early'));
      await world.settle();
      const bodies: string[] = [];
      right.onArrival(({ body }) => void bodies.push(text(body)));

      left.send(B, 'raft', say('late'));
      await world.settle();

      assert.deepEqual(bodies, ['late']);
    });

    check('a transport has one listener for frames and one for hints', async (world) => {
      const [left] = await world.liveSilently({ nodeId: A, boot: 1 });
      left.onArrival(() => {});
      left.onUnreachable(() => {});

      assert.throws(() => left.onArrival(() => {}), /one listener/);
      assert.throws(() => left.onUnreachable(() => {}), /one listener/);
    });
  });

  describe(`${name}: lives`, () => {
    check('what was meant for one life of a node does not reach its next', async (world) => {
      const [left, right] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      right.send(A, 'raft', say('I am in boot 1'));
      await world.settle();
      await world.subject.crash(B);
      const [next] = await world.live({ nodeId: B, boot: 2 });

      left.send(B, 'raft', say('for boot 1'));
      await world.settle();
      next.send(A, 'raft', say('I am in boot 2'));
      await world.settle();
      left.send(B, 'raft', say('for boot 2'));
      await world.settle();

      assert.deepEqual(world.heard, ['b1>a raft I am in boot 1', 'b2>a raft I am in boot 2', 'a1>b raft for boot 2']);
      assert.deepEqual(world.subject.refused(), { boot: 1 });
    });

    check('a frame that was on its way over a restart is refused', async (world) => {
      await world.live({ nodeId: B, boot: 2 });

      await world.subject.inject('exec', B, seal({ channel: 'exec', toBoot: 1 }));
      await world.settle();

      assert.deepEqual(world.heard, []);
      assert.deepEqual(world.subject.refused(), { boot: 1 });
    });

    check('once a peer was heard in a later life, its earlier ones are refused', async (world) => {
      const [, right] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 7 });
      right.send(A, 'raft', say('seven'));
      await world.settle();

      await world.subject.inject('raft', A, seal({ from: B, fromBoot: 6, to: A, body: say('six') }));
      await world.subject.inject(
        'raft',
        A,
        seal({ from: B, fromBoot: 7, to: A, thread: 'main', count: 2, body: say('seven again') }),
      );
      await world.settle();

      assert.deepEqual(world.heard, ['b7>a raft seven', 'b7>a raft seven again']);
      assert.deepEqual(world.subject.refused(), { boot: 1 });
    });

    check('a closed transport neither sends nor hears, and its node may live again', async (world) => {
      const [left, right] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      await right.close();
      left.send(B, 'raft', say('to the closed'));
      right.send(A, 'raft', say('from the closed'));
      right.broadcast('leader', say('from the closed'));
      await world.settle();
      await world.subject.crash(B);
      await world.live({ nodeId: B, boot: 2 });

      left.send(B, 'raft', say('open'));
      await world.settle();

      assert.deepEqual(world.heard, ['a1>b raft open']);
    });
  });

  describe(`${name}: a network that is away`, () => {
    check('nothing of what is sent meanwhile arrives, ever; later frames do, each once', async (world) => {
      const [left, right] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      await world.subject.takeDown();
      for (let count = 0; count < 20; count += 1) left.send(B, 'raft', say('lost'));
      left.broadcast('leader', say('lost'));
      right.send(A, 'exec', say('lost'));
      await world.subject.bringUp();
      await world.settle();
      assert.deepEqual(world.heard, []);

      left.send(B, 'raft', say('there'));
      right.send(A, 'exec', say('back'));
      await world.settle();

      assert.deepEqual(world.heard.sort(), ['a1>b raft there', 'b1>a exec back']);
    });

    check('no node is called unreachable because the network was away', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      await world.subject.takeDown();
      left.send(B, 'raft', say('lost'));
      await world.subject.bringUp();
      left.send(B, 'raft', say('there'));
      await world.settle();

      assert.deepEqual(world.hints, []);
    });
  });

  describe(`${name}: hints`, () => {
    check('a raft frame to a node whose process is gone gives a hint that names it', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 }, { nodeId: C, boot: 1 });
      await world.subject.crash(B);

      left.send(C, 'raft', say('alive'));
      left.send(B, 'raft', say('dead'));
      await world.settle();

      assert.deepEqual(world.hints, ['a: b is gone']);
      assert.deepEqual(world.heard, ['a1>c raft alive']);
    });

    check('other channels give no hint', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 });

      for (const channel of ['bulk', 'exec', 'forward', 'report'] as const) left.send(B, channel, say('dead'));
      await world.settle();

      assert.deepEqual(world.hints, []);
    });

    check('the hints end when the node is back', async (world) => {
      const [left] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });
      await world.subject.crash(B);
      left.send(B, 'raft', say('dead'));
      await world.settle();
      await world.live({ nodeId: B, boot: 2 });

      left.send(B, 'raft', say('back'));
      await world.settle();

      assert.deepEqual(world.hints, ['a: b is gone']);
      assert.deepEqual(world.heard, ['a1>b raft back']);
    });
  });

  describe(`${name}: strangers`, () => {
    for (const { title, reason, frame, channel = 'raft' } of STRANGE) {
      check(`refused as ${reason}, counted and not answered: ${title}`, async (world) => {
        const [, right] = await world.live({ nodeId: A, boot: 1 }, { nodeId: B, boot: 1 });

        await world.subject.inject(channel, B, frame());
        await world.settle();
        assert.deepEqual(world.heard, []);
        assert.deepEqual(world.subject.refused(), { [reason]: 1 });

        right.send(A, 'raft', say('well'));
        await world.settle();
        assert.deepEqual(world.heard, ['b1>a raft well']);
      });
    }

    check('nodes of another cluster, or without its key, are not heard by ours nor ours by them', async (world) => {
      const [ours, foreign, keyless] = await world.live(
        { nodeId: A, boot: 1 },
        { nodeId: B, boot: 1, cluster: '2'.repeat(32) },
        { nodeId: C, boot: 1, key: new Uint8Array(0) },
      );

      foreign.send(A, 'raft', say('hello'));
      keyless.send(A, 'raft', say('hello'));
      ours.send(B, 'raft', say('hello'));
      ours.send(C, 'raft', say('hello'));
      await world.settle();

      assert.deepEqual(world.heard, []);
      assert.deepEqual(world.subject.refused(), { cluster: 2, mac: 2 });
    });
  });
}

/** Nodes on the subject's network, and what they hear. */
class World {
  readonly subject: TransportSubject;
  /** `a1>b raft text`: node a in boot 1 to node b. */
  readonly heard: string[] = [];
  readonly hints: string[] = [];

  constructor(subject: TransportSubject) {
    this.subject = subject;
  }

  async liveSilently<const Lives extends readonly Life[]>(
    ...lives: Lives
  ): Promise<{ -readonly [Place in keyof Lives]: Transport }> {
    const transports: Transport[] = [];
    for (const life of lives) transports.push(await this.subject.open(life));
    await this.settle();
    return transports as { -readonly [Place in keyof Lives]: Transport };
  }

  async live<const Lives extends readonly Life[]>(
    ...lives: Lives
  ): Promise<{ -readonly [Place in keyof Lives]: Transport }> {
    const transports = await this.liveSilently(...lives);
    for (const [place, { nodeId }] of lives.entries()) {
      const transport = (transports as readonly Transport[])[place];
      transport?.onArrival(({ channel, from, fromBoot, body }) => {
        this.heard.push(`${from[0]}${fromBoot}>${nodeId[0]} ${channel} ${text(body)}`);
      });
      transport?.onUnreachable((gone) => void this.hints.push(`${nodeId[0]}: ${gone[0]} is gone`));
    }
    await this.settle();
    return transports;
  }

  settle(): Promise<void> {
    return this.subject.settle();
  }
}

function text(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}
