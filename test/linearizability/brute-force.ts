/** The definition of linearizability taken at its word: tries all orders. For histories of a few operations on one key. */
import type { Operation } from './history.ts';
import { EMPTY_REGISTER, type RegisterState, stepRegister } from './model.ts';

export function isLinearizableByTrying(operations: readonly Operation[]): boolean {
  return canFollow(operations, EMPTY_REGISTER);
}

function canFollow(left: readonly Operation[], state: RegisterState): boolean {
  if (left.every(({ result }) => result === null)) return true;
  return left.some((next) => {
    // Whatever has been answered before `next` was asked comes before it.
    if (left.some((other) => other !== next && other.respondedMs < next.invokedMs)) return false;
    const after = stepRegister(state, next.action, next.result);
    if (after === undefined) return false;
    return canFollow(
      left.filter((other) => other !== next),
      after.state,
    );
  });
}
