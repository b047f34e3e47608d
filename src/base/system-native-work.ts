/**
 * What native add-ons have under way for this thread. Ending a thread, or the process, while LevelDB writes on one of
 * libuv's threads tears down what that write uses: the process would end by SIGSEGV instead of with its exit code. So
 * whoever ends one waits for it first, for a bounded time, since a disk may hang.
 */
const underWay = new Set<Promise<unknown>>();

export function trackNativeWork<Result>(work: Promise<Result>): Promise<Result> {
  underWay.add(work);
  const forget = (): void => {
    underWay.delete(work);
  };
  work.then(forget, forget);
  return work;
}

/** Ends the process with `code`; in a worker thread, that thread. Before it does, `letGo` closes what is open. */
export function endWithCode(code: number, letGo: () => Promise<void> = () => Promise.resolve()): void {
  const end = (): void => process.exit(code);
  setTimeout(end, NATIVE_WORK_MS);
  // A failure to close is one more reason to end.
  void Promise.allSettled(underWay).then(letGo).then(end, end);
}

const NATIVE_WORK_MS = 1_000;
