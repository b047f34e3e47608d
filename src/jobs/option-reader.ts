/**
 * Reads the options of one executor from a job's `executor_config`, one after another, and gathers what is wrong with
 * them. The check at the door and the executor read with the same reader, so both say the same.
 */
import type { Fault } from '../base/errors.ts';
import { parseDuration } from './duration.ts';
import type { Json } from './job.ts';

export type ExecutorConfig = Readonly<Record<string, Json>>;

export type OptionsRead<Options> =
  /** `ignored`: keys that the executor does not have. */
  | { readonly type: 'options'; readonly options: Options; readonly ignored: readonly string[] }
  | { readonly type: 'faults'; readonly faults: readonly Fault[] };

export class OptionReader {
  readonly #executor: string;
  readonly #config: ExecutorConfig;
  /** Asked for, known or not; all others are ignored ones. */
  readonly #asked = new Set<string>();
  /** Those that need not be text. */
  readonly #json = new Set<string>();
  readonly #faults: Fault[] = [];

  constructor(executor: string, config: ExecutorConfig) {
    this.#executor = executor;
    this.#config = config;
  }

  /** As written; '' where there is none. */
  text(key: string): string {
    this.#asked.add(key);
    const value = Object.hasOwn(this.#config, key) ? this.#config[key] : undefined;
    return typeof value === 'string' ? value : '';
  }

  /** As `text`, and a fault where it is missing or blank. */
  needed(key: string): string {
    const text = this.text(key);
    const value = this.#config[key];
    if (text.trim() !== '' || (value !== undefined && typeof value !== 'string')) return text;
    this.fault(key, 'a text that is not empty', `the ${this.#executor} executor needs it`);
    return text;
  }

  /** What `parse` makes of the trimmed text; null where there is none, or where it has a fault, which `message` names. */
  parsed<Value>(
    key: string,
    parse: (text: string) => Value | undefined,
    allowed: string,
    message = 'cannot be read',
  ): Value | null {
    const text = this.text(key).trim();
    if (text === '') return null;
    const value = parse(text);
    if (value === undefined) this.fault(key, allowed, message);
    return value ?? null;
  }

  /** Any JSON; undefined where there is none. */
  json(key: string): Json | undefined {
    this.#asked.add(key);
    this.#json.add(key);
    return Object.hasOwn(this.#config, key) ? this.#config[key] : undefined;
  }

  /** `shown`: in place of a value that is too large to be sent back. */
  fault(key: string, allowed: string, message: string, shown?: string): void {
    const value = shown ?? this.#config[key] ?? null;
    this.#faults.push({ field: `executor_config.${key}`, value, allowed, message });
  }

  /** After all options were asked for. */
  result<Options>(options: Options): OptionsRead<Options> {
    const notText = Object.entries(this.#config).filter(
      ([key, value]) => typeof value !== 'string' && !this.#json.has(key),
    );
    for (const [key] of notText) this.fault(key, 'a string', 'is not a string');
    if (this.#faults.length > 0) return { type: 'faults', faults: this.#faults };
    const ignored = Object.keys(this.#config).filter((key) => !this.#asked.has(key));
    return { type: 'options', options, ignored };
  }
}

/** For the output of a run whose options are bad, a line for each. */
export function faultsText(executor: string, faults: readonly Fault[]): string {
  const lines = faults.map(({ field, value, allowed, message }) => {
    const text = value === null ? '' : ` ${JSON.stringify(value)}`;
    const shown = text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}…` : text;
    return `${executor}: ${field}${shown}: ${message}; allowed: ${allowed}\n`;
  });
  return lines.join('');
}

const VALUE_CHARACTERS_MAX = 100;

/** As Go's `strconv.ParseBool`, which Dkron reads with. */
export function parseTruth(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true;
  return /^(0|f|F|false|FALSE|False)$/.test(text) ? false : undefined;
}

export const TRUTH = 'true or false';

export function positiveDuration(text: string): number | undefined {
  const durationMs = parseDuration(text) ?? 0;
  return durationMs > 0 ? durationMs : undefined;
}

export const DURATION = 'a duration above 0s, such as 90s or 1h30m';
export const SIZE = 'a size, such as 512MB (B, KB, MB, GB, TB)';
