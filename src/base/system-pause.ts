/** Lets the event loop of this thread serve what waits before a long walk goes on. */
export function pause(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
