/** What is known of a call when the process as a whole holds too much memory. */
export interface MemorySuspect {
  /** As its thread last said. */
  readonly memoryBytes: number;
  /** How long its thread has said nothing. */
  readonly silentMs: number;
}

/** A thread that has not beaten for so long is taken for busy, and what it said last for old. */
const SILENT_MS = 300;

/**
 * Whose thread is ended first: the biggest, if it explains a good part of what is too much; else the biggest of those
 * that do not yield, since nobody knows what they hold by now; else the biggest after all.
 */
export function findCulprit<Suspect extends MemorySuspect>(
  suspects: readonly Suspect[],
  excessBytes: number,
): Suspect | undefined {
  const biggest = biggestOf(suspects);
  if (biggest !== undefined && biggest.memoryBytes >= excessBytes) return biggest;
  return biggestOf(suspects.filter((suspect) => suspect.silentMs >= SILENT_MS)) ?? biggest;
}

function biggestOf<Suspect extends MemorySuspect>(suspects: readonly Suspect[]): Suspect | undefined {
  return suspects.reduce<Suspect | undefined>(
    (best, suspect) =>
      best === undefined ||
      suspect.memoryBytes > best.memoryBytes ||
      (suspect.memoryBytes === best.memoryBytes && suspect.silentMs > best.silentMs)
        ? suspect
        : best,
    undefined,
  );
}
