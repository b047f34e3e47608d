/** Run by `log.ts` in a directory on a small file system: fills it, fails, makes room, writes on, opens anew, counts. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { openLevelStorage } from '../src/store/level-storage.ts';
import type { Storage } from '../src/store/storage.ts';
import { openSystemJournal } from '../src/store/system-journal.ts';

interface Subject {
  write(key: string): Promise<boolean>;
  has(key: string): boolean;
  close(): Promise<void>;
}

const [directory = '', kind = ''] = process.argv.slice(2);
const path = join(directory, 'log');
const filler = join(directory, 'filler');

let subject = await open();
await writeFile(filler, new Uint8Array(600 * 1024));
let before = 0;
while (await subject.write(`a${before}`)) before += 1;
await rm(filler);
let after = 0;
for (let index = 0; index < 60; index += 1) if (await subject.write(`b${index}`)) after += 1;
await subject.close();
subject = await open();
let lost = 0;
for (let index = 0; index < before; index += 1) if (!subject.has(`a${index}`)) lost += 1;
if (after > 0) for (let index = 0; index < 60; index += 1) if (!subject.has(`b${index}`)) lost += 1;
console.log(JSON.stringify({ before, refused: 60 - after, after, lost }));
await subject.close();

/** `classic-level`: as it is, without the rule that the first error ends it. */
async function open(): Promise<Subject> {
  const value = new Uint8Array(3_000).fill(7);
  if (kind === 'classic-level') {
    const level = new ClassicLevel<string, Uint8Array>(path, { valueEncoding: 'view' });
    await level.open();
    return {
      write: (key) =>
        level.put(key, value, { sync: true }).then(
          () => true,
          () => false,
        ),
      has: (key) => level.getSync(key) !== undefined,
      close: () => level.close(),
    };
  }
  const storage: Storage = await (kind === 'segments' ? openSystemJournal(path) : openLevelStorage(path));
  return {
    write: (key) =>
      new Promise((resolve) => storage.write([{ type: 'put', key, value }], (error) => resolve(error === null))),
    has: (key) => storage.get(key) !== undefined,
    close: () => storage.close(),
  };
}
