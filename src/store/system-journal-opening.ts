import { CodedError } from '../base/errors.ts';
import { decodeSegmentHeader, SEGMENT_VERSION } from './segment-record.ts';
import { SegmentReplay } from './segment-replay.ts';
import { SystemSegment, segmentName, segmentNumbers } from './system-segment.ts';
import { syncDirectory } from './system-sync.ts';

/**
 * Reads all segments, one after another, and leaves the directory as it should be: what was never acknowledged is cut,
 * what is not wanted any more is gone, and the last segment is one to write to. Damage stays where it is.
 */
export async function replaySegments(
  directory: string,
): Promise<{ readonly replay: SegmentReplay; readonly segments: SystemSegment[] }> {
  const replay = new SegmentReplay((number) => `${directory}/${segmentName(number)}`);
  const opened: SystemSegment[] = [];
  for (const number of await segmentNumbers(directory)) {
    const { segment, bytes } = await SystemSegment.open(directory, number);
    opened.push(segment);
    checkHeader(segment, bytes);
    replay.take(number, bytes);
  }
  replay.finish();
  const { torn } = replay;
  const segments: SystemSegment[] = [];
  let isChanged = false;
  for (const segment of opened) {
    if (segment.number < replay.first) {
      await segment.remove();
      isChanged = true;
      continue;
    }
    if (segment.number === torn?.segment) await segment.cut(torn.start);
    segments.push(segment);
  }
  const last = segments[segments.length - 1];
  if (last === undefined || replay.isEndLost) {
    segments.push(await SystemSegment.create(directory, Math.max(replay.first, (last?.number ?? 0) + 1)));
    isChanged = true;
  } else if (!last.hasHeader) {
    // Its making was cut short, so nothing was ever written to it.
    await last.release();
    segments[segments.length - 1] = await SystemSegment.create(directory, last.number);
  }
  if (isChanged) await syncDirectory(directory);
  return { replay, segments };
}

/** A broken header does no harm: records prove themselves. One that says something else does. */
function checkHeader(segment: SystemSegment, bytes: Buffer): void {
  const header = decodeSegmentHeader(bytes);
  if (header === undefined) return;
  if (header.version !== SEGMENT_VERSION) {
    throw new CodedError('newer-directory', `${segment.path} was written by a newer build; use that one`);
  }
  if (header.number !== segment.number) {
    throw new CodedError('storage-failed', `${segment.path} is segment ${header.number} under a wrong name; rename it`);
  }
}
