/** Hears how far this server is, and which jobs are gone: what the backend must know without asking. */
import type { Actor } from '../actors/actor.ts';
import type { StateEvent } from '../scheduler/event.ts';
import type { Progress } from '../scheduler/state-actor.ts';

export type BackendMessage = Progress | { readonly type: 'events'; readonly events: readonly StateEvent[] };

/** Before anything was heard. */
export const NO_PROGRESS: Progress = {
  type: 'progress',
  commitIndex: 0,
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
): () => Actor<BackendMessage> {
  return () => ({
    receive(message) {
      if (message.type === 'progress') return onProgress(message);
      for (const event of message.events) if (event.type === 'job-deleted') onJobDeleted(event.uid);
    },
  });
}
