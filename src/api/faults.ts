/** What a schema found, as the faults that clients see: which field, its value, what is allowed there. */
import type { z } from 'zod';
import { CodedError, type Fault } from '../base/errors.ts';
import { shorten, shortenValue } from './json-text.ts';

/** Clients get so many at most; one who has more mends these first. */
export const FAULTS_MAX = 20;

/** Each schema carries what it allows as its message, so an issue's message is the fault's `allowed`. */
export function faultsOf(error: z.ZodError, input: unknown): Fault[] {
  return error.issues.slice(0, FAULTS_MAX).map((issue) => {
    const value = valueAt(input, issue.path);
    return {
      field: pathText(issue.path),
      value: shortenValue(value),
      allowed: issue.message,
      message:
        value === undefined ? 'is missing' : issue.code === 'invalid_type' ? `is ${kindOf(value)}` : 'is not allowed',
    };
  });
}

/** One sentence for people; the faults carry the rest. */
export function invalid(subject: string, faults: readonly Fault[]): CodedError {
  const [first] = faults;
  if (first === undefined) return new CodedError('invalid', `${subject} is not valid`);
  const more = faults.length === 1 ? '' : ` (and ${faults.length - 1} more)`;
  // Nothing and an empty text are no values that a message should quote.
  const isEmpty = first.value === null || first.value === undefined || first.value === '';
  const value = isEmpty ? '' : ` ${JSON.stringify(shortenValue(first.value))}`;
  const field = first.field === '' ? subject : `${subject}: ${first.field}`;
  return new CodedError('invalid', `${field}${value}: ${first.message}; allowed: ${first.allowed}${more}`, { faults });
}

function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${shorten(String(part), 60)}`;
  }
  return text;
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  let value = input;
  for (const part of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, part)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[part];
  }
  return value;
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return 'a string';
    case 'number':
      return 'a number';
    case 'boolean':
      return 'true or false';
    default:
      return 'an object';
  }
}
