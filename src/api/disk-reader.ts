/** Rows of the durable state, for reads: a handle of its own, beside the state machine's. */

import { decodeRow, type StateRow } from '../scheduler/rows.ts';
import type { Row, Storage } from '../store/storage.ts';

const PAGE_ROWS = 1_000;

export class DiskReader {
  readonly #storage: () => Storage;

  constructor(storage: () => Storage) {
    this.#storage = storage;
  }

  get<RowType extends StateRow>(key: string): RowType | undefined {
    const bytes = this.#storage().get(key);
    return bytes === undefined ? undefined : decodeRow<RowType>(bytes);
  }

  /** At most `limit` rows of [from, to). */
  page(from: string, to: string, limit: number, reverse = false): Promise<readonly Row[]> {
    return new Promise((resolve, reject) => {
      this.#storage().scan({ from, to, limit, reverse }, (error, rows) => {
        if (error === null) resolve(rows);
        else reject(error);
      });
    });
  }

  /** All rows of [from, to), page by page. */
  async each<RowType extends StateRow>(
    from: string,
    to: string,
    visit: (row: RowType, key: string) => void,
  ): Promise<void> {
    for (let next = from; ; ) {
      const rows = await this.page(next, to, PAGE_ROWS);
      for (const { key, value } of rows) visit(decodeRow<RowType>(value), key);
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE_ROWS) return;
      next = `${last.key}\0`;
    }
  }
}
