/** A register per name: what a job is to those who only put, read and delete it. */
import type { Action, Result } from './history.ts';

/** Null: there is no such job. */
export type RegisterState = string | null;

export const EMPTY_REGISTER: RegisterState = null;

/** The state after it, or undefined where the action cannot have this result in this state. A null result fits any. */
export function stepRegister(
  state: RegisterState,
  action: Action,
  result: Result | null,
): { readonly state: RegisterState } | undefined {
  switch (action.type) {
    case 'put':
      return { state: action.value };
    case 'get':
      return result === null || (result.type === 'read' && result.value === state) ? { state } : undefined;
    case 'delete': {
      const fits = result === null || (result.type === 'deleted' && result.wasThere === (state !== null));
      return fits ? { state: null } : undefined;
    }
  }
}
