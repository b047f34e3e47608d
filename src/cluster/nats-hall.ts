import { strict as assert } from 'node:assert';
import { NOBODY } from './envelope.ts';
import type { Hall, Word } from './hall.ts';
import type { NatsConnection } from './nats-connection.ts';
import type { PeerBoots } from './peer-boots.ts';
import { RefusedFrames, type RefusedFramesOptions } from './refused-frames.ts';
import { Subjects } from './subjects.ts';
import { openWord, type Speaker, sealWord } from './words.ts';

export interface NatsHallOptions extends RefusedFramesOptions {
  readonly speaker: Speaker;
  readonly clusterName: string;
  /** Stays open when the hall closes. */
  readonly connection: NatsConnection;
  /** Shared with the transport of this thread: after a word of its new life, a peer gets frames for that life. */
  readonly boots?: PeerBoots;
}

/** The hall over NATS: one subject for all under a cluster name. */
export function openNatsHall(options: NatsHallOptions): Hall {
  const { speaker, clusterName, connection, boots } = options;
  const subject = new Subjects(clusterName).of('alive', NOBODY);
  const refused = new RefusedFrames(options);
  let listener: ((word: Word) => void) | undefined;
  let isClosed = false;
  const unsubscribe = connection.subscribe(subject, ({ data }) => {
    const heard = openWord(speaker, data);
    if (heard.type === 'refused') return refused.note(heard.reason, 'alive');
    boots?.hear(heard.word.from, heard.word.fromBoot);
    listener?.(heard.word);
  });
  return {
    get isOpen() {
      return !isClosed && connection.status === 'connected';
    },
    say(body) {
      if (!isClosed) connection.publish(subject, sealWord(speaker, body));
    },
    onWord(wanted) {
      assert(listener === undefined, 'a hall has one listener');
      listener = wanted;
    },
    close() {
      isClosed = true;
      unsubscribe();
      return Promise.resolve();
    },
  };
}
