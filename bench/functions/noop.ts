/** The function that does nothing: what is left is what it costs to have it done. */
export function noop(): void {}
