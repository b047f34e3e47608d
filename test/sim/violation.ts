/** Something that must never be so, was. Thrown out of the simulation; not a failure of a node. */
export class Violation extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'Violation';
  }
}

export function check(isTrue: boolean, message: () => string): asserts isTrue {
  if (!isTrue) throw new Violation(message());
}
