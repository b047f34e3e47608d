/** Signals that ask the node to stop: the first one to drain and stop, the second one to stop at once. */
import { endWithCode } from '../base/system-native-work.ts';
import type { Log } from '../base/telemetry.ts';

/** What a stop takes at most beyond the drain. */
const STOP_MS = 10_000;

/** Resolves at the first signal. One that comes during the start is kept until there is something to stop. */
export function hearStopSignals(drainMs: number, log: Log): Promise<void> {
  return new Promise((resolve) => {
    let isStopping = false;
    const onSignal = (signal: NodeJS.Signals) => {
      if (isStopping) return endWithCode(1);
      isStopping = true;
      log.info(`${signal}: running work may end, for ${drainMs} ms at most; once more stops at once`);
      const overdue = setTimeout(() => endWithCode(1), drainMs + STOP_MS);
      overdue.unref();
      resolve();
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
  });
}
