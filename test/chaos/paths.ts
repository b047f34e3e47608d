import { fileURLToPath } from 'node:url';

/** The executable of this tree, as it was compiled. */
export const MAIN = fileURLToPath(new URL('../../src/main.js', import.meta.url));
