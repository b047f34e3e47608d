/** Hears how far this server is, and which jobs are gone: what the backend must know without asking. */
import type { Actor } from '../actors/actor.ts';
import type { StateEvent } from '../scheduler/event.ts';
import type { ConfigurationMessage, Progress } from '../scheduler/state-actor.ts';

export type BackendMessage =
  | Progress
  | ConfigurationMessage
  | { readonly type: 'events'; readonly events: readonly StateEvent[] };

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

/** Each hears what it keeps a copy of, for answers that cannot wait; `onJobDeleted` lets go of what hangs on a job. */
export function createBackendActor(listeners: {
  readonly onProgress: (progress: Progress) => void;
  readonly onConfiguration: (message: ConfigurationMessage) => void;
  readonly onJobDeleted: (uid: string) => void;
}): () => Actor<BackendMessage> {
  const { onProgress, onConfiguration, onJobDeleted } = listeners;
  return () => ({
    receive(message) {
      if (message.type === 'progress') return onProgress(message);
      if (message.type === 'configuration') return onConfiguration(message);
      for (const event of message.events) if (event.type === 'job-deleted') onJobDeleted(event.uid);
    },
  });
}
