import assert from 'node:assert/strict';
import type { DeadLetter } from '../../src/actors/dead-letters.ts';
import { ActorSystem } from '../../src/actors/system.ts';
import { VirtualTurns } from '../../src/actors/virtual-turns.ts';
import { METRICS, type MetricRow } from '../../src/base/metrics.ts';
import { seededRandom } from '../../src/base/random.ts';
import { type Labels, type Log, type LogFields, type Metrics, silentLog } from '../../src/base/telemetry.ts';
import { VirtualClock } from '../../src/base/virtual-clock.ts';

/** Keeps the last value as `name{label value}`, and refuses what `METRICS` does not know. */
export class RecordingMetrics implements Metrics {
  readonly values = new Map<string, number>();

  count(name: string, labels?: Labels, by = 1): void {
    const key = keyOf('counter', name, labels);
    this.values.set(key, (this.values.get(key) ?? 0) + by);
  }

  gauge(name: string, value: number, labels?: Labels): void {
    this.values.set(keyOf('gauge', name, labels), value);
  }

  observe(name: string, value: number, labels?: Labels): void {
    this.values.set(keyOf('histogram', name, labels), value);
  }
}

function keyOf(kind: MetricRow['kind'], name: string, labels: Labels = {}): string {
  const row = METRICS[name];
  assert.equal(row?.kind, kind, name);
  assert.deepEqual(Object.keys(labels), row?.labels);
  return `${name}{${Object.values(labels).join(',')}}`;
}

/** Keeps warnings and errors with their fields. */
export class RecordingLog implements Log {
  readonly lines: { readonly message: string; readonly fields: LogFields }[];
  readonly #fields: LogFields;

  constructor(lines: { readonly message: string; readonly fields: LogFields }[] = [], fields: LogFields = {}) {
    this.lines = lines;
    this.#fields = fields;
  }

  debug(): void {}

  info(): void {}

  warn(message: string, fields: LogFields = {}): void {
    this.lines.push({ message, fields: { ...this.#fields, ...fields } });
  }

  error(message: string, fields: LogFields = {}): void {
    this.warn(message, fields);
  }

  with(fields: LogFields): Log {
    return new RecordingLog(this.lines, { ...this.#fields, ...fields });
  }
}

/** One system on virtual time. `settle` delivers until all mailboxes are empty, `advance` moves time in between. */
export function setup(
  options: { readonly thread?: string; readonly pendingAsksMax?: number; readonly log?: Log } = {},
) {
  const clock = new VirtualClock();
  const turns = new VirtualTurns();
  const metrics = new RecordingMetrics();
  const deadLetters: DeadLetter[] = [];
  const processStops: { readonly error: unknown; readonly address: string }[] = [];
  const system = new ActorSystem({
    thread: options.thread ?? 'main',
    clock,
    random: seededRandom(1),
    log: options.log ?? silentLog,
    metrics,
    turns,
    onStopProcess: (error, address) => processStops.push({ error, address }),
    onDeadLetter: (letter) => deadLetters.push(letter),
    ...(options.pendingAsksMax === undefined ? {} : { pendingAsksMax: options.pendingAsksMax }),
  });
  const settle = () => turns.runAll();
  const advance = (delayMs: number) => {
    settle();
    const untilMs = clock.monotonic() + delayMs;
    while ((clock.nextDueMs ?? Number.POSITIVE_INFINITY) <= untilMs) {
      clock.runNext();
      settle();
    }
    clock.advance(untilMs - clock.monotonic());
  };
  return { clock, turns, metrics, deadLetters, processStops, system, settle, advance };
}
