/** Knows how far this server is, for reads that must see what was applied when they arrived. */
import type { Actor, Reply } from '../actors/actor.ts';
import type { StateEvent } from '../scheduler/event.ts';
import type { Progress } from '../scheduler/state-actor.ts';

export type BackendMessage =
  | Progress
  | { readonly type: 'events'; readonly events: readonly StateEvent[] }
  /** Asked: answered with the progress once the disk has everything applied by now, or this index if it is greater. */
  | { readonly type: 'await-stored'; readonly index: number }
  | { readonly type: 'progress-now' };

export type BackendAnswer = Progress;

/** Before anything was heard. */
export const NO_PROGRESS: Progress = {
  type: 'progress',
  appliedIndex: 0,
  storedIndex: 0,
  loggedMs: 0,
  role: 'follower',
  isReady: false,
  term: 0,
  leader: null,
  storageName: 'state',
};

/** `onProgress` keeps a copy for synchronous answers such as health; `onJobDeleted` lets go of what hangs on a job. */
export function createBackendActor(
  onProgress: (progress: Progress) => void,
  onJobDeleted: (uid: string) => void,
): () => Actor<BackendMessage, BackendAnswer> {
  return () => {
    let progress = NO_PROGRESS;
    let waiting: { readonly index: number; readonly reply: Reply<BackendAnswer> }[] = [];
    return {
      receive(message, reply) {
        switch (message.type) {
          case 'progress': {
            progress = message;
            onProgress(progress);
            const due = waiting.filter((wait) => wait.index <= progress.storedIndex);
            if (due.length === 0) return;
            waiting = waiting.filter((wait) => wait.index > progress.storedIndex);
            for (const wait of due) wait.reply(progress);
            return;
          }
          case 'events':
            for (const event of message.events) if (event.type === 'job-deleted') onJobDeleted(event.uid);
            return;
          case 'await-stored': {
            const index = Math.max(message.index, progress.appliedIndex);
            if (index <= progress.storedIndex) reply(progress);
            else waiting.push({ index, reply });
            return;
          }
          case 'progress-now':
            return reply(progress);
        }
      },
    };
  };
}
