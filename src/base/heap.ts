/** A binary heap: the least item, by `isBefore`, comes out first. Items that tie come out in no stated order. */
export class Heap<Item> {
  readonly #items: Item[] = [];
  readonly #isBefore: (left: Item, right: Item) => boolean;

  constructor(isBefore: (left: Item, right: Item) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    const items = this.#items;
    items.push(item);
    let index = items.length - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#isBefore(items[index] as Item, items[parent] as Item)) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  pop(): Item | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (items.length === 0 || last === undefined) return first;
    items[0] = last;
    let index = 0;
    for (;;) {
      const left = 2 * index + 1;
      const right = left + 1;
      let least = index;
      if (left < items.length && this.#isBefore(items[left] as Item, items[least] as Item)) least = left;
      if (right < items.length && this.#isBefore(items[right] as Item, items[least] as Item)) least = right;
      if (least === index) return first;
      this.#swap(index, least);
      index = least;
    }
  }

  clear(): void {
    this.#items.length = 0;
  }

  #swap(left: number, right: number): void {
    const items = this.#items;
    const item = items[left] as Item;
    items[left] = items[right] as Item;
    items[right] = item;
  }
}
