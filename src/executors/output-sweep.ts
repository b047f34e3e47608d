import { endOfPrefix, type Storage } from '../store/storage.ts';
import { JOB_PREFIX, uidOfJobKey } from './output-store.ts';

/** Each is looked up in the state, on the thread that answers clients. */
const JOBS_PER_PAGE = 200;

/**
 * Finds tails whose job is gone, a page of jobs at a time, round and round. Most tails go with their job; this is for
 * those that came after it, and for a server that did not hear of its end.
 */
export class OutputSweep {
  readonly #storage: Storage;
  readonly #isGone: (uid: string) => boolean;
  #from = JOB_PREFIX;

  constructor(storage: Storage, isGone: (uid: string) => boolean) {
    this.#storage = storage;
    this.#isGone = isGone;
  }

  /** One at a time: call it again only after `done`, which gets uids. */
  page(done: (error: Error | null, gone: readonly string[]) => void): void {
    const range = { from: this.#from, to: endOfPrefix(JOB_PREFIX), limit: JOBS_PER_PAGE };
    this.#storage.scan(range, (error, rows) => {
      if (error !== null) return done(error, []);
      const last = rows.at(-1);
      this.#from = last === undefined || rows.length < JOBS_PER_PAGE ? JOB_PREFIX : `${last.key}\0`;
      done(
        null,
        rows.map((row) => uidOfJobKey(row.key)).filter((uid) => this.#isGone(uid)),
      );
    });
  }
}
