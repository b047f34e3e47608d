/**
 * What native add-ons have under way for this thread. LevelDB is shared between threads, and belongs to the one that
 * opened it first: when that one ends, what another one still reads with is gone, and the process ends by SIGSEGV
 * instead of with its exit code. So whoever ends a thread or the process waits first until nothing is under way, and
 * nothing new begins meanwhile; for a bounded time, since a disk may hang.
 */
const underWay = new Set<Promise<unknown>>();
let isEnding = false;

/** False once the process is about to end. */
export function mayBeginNativeWork(): boolean {
  return !isEnding;
}

export function trackNativeWork<Result>(work: Promise<Result>): Promise<Result> {
  underWay.add(work);
  const forget = (): void => {
    underWay.delete(work);
  };
  work.then(forget, forget);
  return work;
}

/** Resolves when nothing is under way in this thread, or after a second. */
export async function untilNoNativeWork(): Promise<void> {
  const endMs = performance.now() + NATIVE_WORK_MS;
  while (underWay.size > 0 && performance.now() < endMs) {
    let timer: NodeJS.Timeout | undefined;
    const rest = new Promise((resolve) => {
      timer = setTimeout(resolve, endMs - performance.now());
    });
    await Promise.race([Promise.allSettled(underWay), rest]);
    clearTimeout(timer);
  }
}

/** Ends the process with `code`. */
export function endWithCode(code: number): void {
  isEnding = true;
  void untilNoNativeWork().then(() => process.exit(code));
}

const NATIVE_WORK_MS = 1_000;
