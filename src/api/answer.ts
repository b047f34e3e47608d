import type { JsonOut } from './json-text.ts';

/** What an operation answers, before a door puts it on its wire. */
export interface Answer {
  /** HTTP's. Over NATS 400 and above become a service error with that code. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: JsonOut;
  readonly isProblem?: boolean;
  /** Plain jobs hold no big integers, so that the fast writer does for them. */
  readonly isPlain?: boolean;
}
