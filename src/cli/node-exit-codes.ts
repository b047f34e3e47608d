import type { ErrorCode } from '../base/errors.ts';

/** Exit codes of `dev`, `server` and `agent`; 0 is a clean stop, 1 a fault of our own. */
export const NODE_EXIT_CODES: Readonly<Partial<Record<ErrorCode, number>>> & { readonly settings: number } = {
  settings: 2,
  'address-in-use': 3,
  'foreign-directory': 4,
  'newer-directory': 5,
  'directory-unusable': 6,
  'storage-failed': 7,
};
