/** Says on stderr what is being measured: one line that changes on a terminal, a line each where it is not one. */
export interface Progress {
  /** A new thing is being done. */
  step(text: string): void;
  /** The same thing goes on; only a terminal shows it. */
  detail(text: string): void;
  /** Leaves the terminal's line free. */
  done(): void;
}

export function createProgress(stream: NodeJS.WriteStream): Progress {
  let step = '';
  const beganMs = performance.now();
  const seconds = () => `${Math.round((performance.now() - beganMs) / 1_000)}s`.padStart(5);
  const show = (text: string) => {
    const line = `${seconds()}  ${text}`.slice(0, (stream.columns ?? 120) - 1);
    stream.write(`\r${CLEAR_LINE}${line}`);
  };
  return {
    step(text) {
      step = text;
      if (stream.isTTY) show(step);
      else stream.write(`${seconds()}  ${step}\n`);
    },
    detail(text) {
      if (stream.isTTY) show(`${step}: ${text}`);
    },
    done() {
      if (stream.isTTY) stream.write(`\r${CLEAR_LINE}`);
    },
  };
}

export const silentProgress: Progress = { step() {}, detail() {}, done() {} };

const CLEAR_LINE = '\u001b[K';
