/** What a run is asked to be. */
import { parseArgs } from 'node:util';
import { FAULT_KINDS, type FaultKind } from './plan.ts';

export interface ChaosOptions {
  readonly seed: number;
  /** Of load with faults; forming before and judging after it come on top. */
  readonly minutes: number;
  readonly servers: number;
  readonly natsServers: number;
  /** Null: all that this machine allows. */
  readonly faults: readonly FaultKind[] | null;
  /** The report as JSON. */
  readonly isJson: boolean;
  /** Keep logs and data of a good run too. */
  readonly isKeeping: boolean;
}

export const USAGE =
  'npm run chaos -- [--seed N] [--minutes 15] [--servers 3|5] [--nats 1|3] [--faults KIND,KIND] [--json] [--keep]';

/** Throws with a text for people. */
export function readOptions(args: readonly string[], drawSeed: () => number): ChaosOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string' },
      minutes: { type: 'string', default: '15' },
      servers: { type: 'string', default: '3' },
      nats: { type: 'string', default: '1' },
      faults: { type: 'string' },
      json: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
    },
  });
  return {
    seed:
      values.seed === undefined
        ? drawSeed()
        : number('seed', values.seed, (seed) => Number.isInteger(seed) && seed >= 0),
    minutes: number('minutes', values.minutes, (minutes) => minutes > 0 && minutes <= 24 * 60),
    servers: number('servers', values.servers, (servers) => servers === 3 || servers === 5),
    natsServers: number('nats', values.nats, (servers) => servers === 1 || servers === 3),
    faults: values.faults === undefined ? null : values.faults.split(',').map(readKind),
    isJson: values.json,
    isKeeping: values.keep,
  };
}

function number(name: string, text: string, isAllowed: (value: number) => boolean): number {
  const value = Number(text);
  if (text !== '' && isAllowed(value)) return value;
  throw new Error(`--${name} cannot be '${text}'; ${USAGE}`);
}

function readKind(text: string): FaultKind {
  const kind = FAULT_KINDS.find((known) => known === text);
  if (kind === undefined) throw new Error(`there is no fault '${text}'; there are ${FAULT_KINDS.join(', ')}`);
  return kind;
}
