/** `Metrics` over prom-client: one registry a thread, and the text of several threads put together. */
import assert from 'node:assert/strict';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { METRICS } from './metrics.ts';
import type { Labels, Metrics } from './telemetry.ts';

export interface PromMetrics extends Metrics {
  /** Prometheus text of this thread. */
  text(): Promise<string>;
}

/** With `process`, the figures of the whole process are shown too: for one thread of each process. */
export function createPromMetrics(options: { readonly process?: boolean } = {}): PromMetrics {
  const registry = new Registry();
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  if (options.process === true) addProcess(registry);

  return {
    count(name, labels = NO_LABELS, by = 1) {
      let metric = counters.get(name);
      if (metric === undefined) {
        metric = new Counter(configOf(registry, name, 'counter'));
        counters.set(name, metric);
      }
      metric.inc(labels, by);
    },
    gauge(name, value, labels = NO_LABELS) {
      let metric = gauges.get(name);
      if (metric === undefined) {
        metric = new Gauge(configOf(registry, name, 'gauge'));
        gauges.set(name, metric);
      }
      metric.set(labels, value);
    },
    observe(name, value, labels = NO_LABELS) {
      let metric = histograms.get(name);
      if (metric === undefined) {
        metric = new Histogram({
          ...configOf(registry, name, 'histogram'),
          buckets: [...(METRICS[name]?.buckets ?? [])],
        });
        histograms.set(name, metric);
      }
      metric.observe(labels, value);
    },
    text: () => registry.metrics(),
  };
}

/**
 * One text of several threads' texts. Each family stands once; where several threads have it, its samples get the
 * label `thread`, unless they carry one already.
 */
export function mergePromTexts(texts: ReadonlyMap<string, string>): string {
  const families = new Map<string, { readonly head: string; readonly parts: { thread: string; lines: string[] }[] }>();
  for (const [thread, text] of texts) {
    for (const family of readFamilies(text)) {
      const known = families.get(family.name) ?? { head: family.head, parts: [] };
      known.parts.push({ thread, lines: family.lines });
      families.set(family.name, known);
    }
  }
  let merged = '';
  for (const { head, parts } of families.values()) {
    merged += head;
    for (const { thread, lines } of parts) {
      for (const line of lines) merged += `${parts.length > 1 ? withThread(line, thread) : line}\n`;
    }
  }
  return merged;
}

const NO_LABELS: Labels = {};

function configOf(registry: Registry, name: string, kind: 'counter' | 'gauge' | 'histogram') {
  const row = METRICS[name];
  assert(row !== undefined, `unknown metric ${name}: add it to METRICS`);
  assert(row.kind === kind, `metric ${name} is a ${row.kind}, not a ${kind}`);
  return { name, help: row.help, labelNames: [...row.labels], registers: [registry] };
}

function addProcess(registry: Registry): void {
  const add = (name: string, help: string, read: () => number): void => {
    const metric: Gauge = new Gauge({ name, help, registers: [registry], collect: () => metric.set(read()) });
  };
  add('process_resident_memory_bytes', 'Memory that the process holds.', () => process.memoryUsage.rss());
  add('process_start_time_seconds', 'When the process started, seconds since 1970.', () => STARTED_SECONDS);
  const cpu: Counter = new Counter({
    name: 'process_cpu_seconds_total',
    help: 'Processor time of the process, user and system.',
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage();
      cpu.reset();
      cpu.inc((user + system) / 1e6);
    },
  });
}

const STARTED_SECONDS = Math.round(Date.now() / 1_000 - process.uptime());

interface Family {
  readonly name: string;
  readonly head: string;
  readonly lines: string[];
}

/** prom-client writes HELP, TYPE, samples, family after family. */
function readFamilies(text: string): Family[] {
  const families: Family[] = [];
  let help = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('# HELP ')) help = `${line}\n`;
    else if (line.startsWith('# TYPE ')) {
      families.push({ name: line.split(' ', 3)[2] ?? '', head: `${help}${line}\n`, lines: [] });
      help = '';
    } else if (line !== '' && !line.startsWith('#')) families.at(-1)?.lines.push(line);
  }
  return families;
}

function withThread(line: string, thread: string): string {
  if (/[{,]thread="/.test(line)) return line;
  const label = `thread="${thread.replace(/[\\"\n]/g, '_')}"`;
  const brace = line.indexOf('{');
  if (brace >= 0) return `${line.slice(0, brace + 1)}${label},${line.slice(brace + 1)}`;
  const blank = line.indexOf(' ');
  return `${line.slice(0, blank)}{${label}}${line.slice(blank)}`;
}
