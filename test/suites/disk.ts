import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Disk } from '../../src/store/disk.ts';
import { ALL, hasCode, put, scan, write } from './storage-calls.ts';

/** One medium that can be opened again after its disk was closed. */
export interface DiskSubject {
  open(): Promise<Disk>;
  dispose(): Promise<void>;
}

/** What every twin of the disk port must do. */
export function diskSuite(name: string, create: () => Promise<DiskSubject>): void {
  const check = (title: string, body: (disk: Disk, subject: DiskSubject) => Promise<void>): void => {
    test(title, async () => {
      const subject = await create();
      try {
        const disk = await subject.open();
        await body(disk, subject);
        await disk.close();
      } finally {
        await subject.dispose();
      }
    });
  };

  describe(`${name}: files`, () => {
    check('a file that was never written is absent', async (disk) => {
      assert.equal(await disk.readFile('node.json'), undefined);
    });

    check('a file reads back as it was written, and as it was replaced', async (disk) => {
      await disk.replaceFile('node.json', bytes('one'));
      assert.equal(text(await disk.readFile('node.json')), 'one');
      await disk.replaceFile('node.json', bytes('a longer two'));
      assert.equal(text(await disk.readFile('node.json')), 'a longer two');
      await disk.replaceFile('node.json', bytes(''));
      assert.equal(text(await disk.readFile('node.json')), '');
    });

    check('of two replacements at once the later call holds', async (disk) => {
      await Promise.all([disk.replaceFile('file', bytes('first')), disk.replaceFile('file', bytes('second'))]);

      assert.equal(text(await disk.readFile('file')), 'second');
    });

    check('what the caller does to its bytes later does not reach the file', async (disk) => {
      const content = bytes('kept');
      await disk.replaceFile('file', content);
      content.fill(0);

      assert.equal(text(await disk.readFile('file')), 'kept');
    });

    check('files outlive closing', async (disk, subject) => {
      await disk.replaceFile('file', bytes('kept'));
      await disk.close();
      const again = await subject.open();

      assert.equal(text(await again.readFile('file')), 'kept');
      await again.close();
    });

    check('a name that leaves the directory is our own bug', async (disk) => {
      for (const name of ['../up', 'a/b', '', '.hidden', 'Upper', 'lock']) {
        await assert.rejects(async () => disk.readFile(name), { name: 'AssertionError' });
        await assert.rejects(async () => disk.replaceFile(name, bytes('x')), { name: 'AssertionError' });
        await assert.rejects(async () => disk.openStorage(name), { name: 'AssertionError' });
        await assert.rejects(async () => disk.openJournal(name), { name: 'AssertionError' });
      }
    });
  });

  describe(`${name}: storages`, () => {
    check('storages are listed by name, files are not', async (disk) => {
      assert.deepEqual(await disk.storageNames(), []);
      await disk.openStorage('state-2');
      await disk.openStorage('log');
      await disk.replaceFile('node.json', bytes('{}'));

      assert.deepEqual(await disk.storageNames(), ['log', 'state-2']);
    });

    check('storages do not share rows', async (disk) => {
      const log = await disk.openStorage('log');
      const state = await disk.openStorage('state');
      await write(log, put('a', 'log'));

      assert.equal(state.get('a'), undefined);
    });

    check('two opens of one name share one database', async (disk) => {
      const writer = await disk.openStorage('state');
      const reader = await disk.openStorage('state');
      await write(writer, put('a', '1'));

      assert.deepEqual(await scan(reader, ALL), ['a=1']);
    });

    check('rows outlive closing the disk, which closes its storages', async (disk, subject) => {
      const storage = await disk.openStorage('state');
      await write(storage, put('a', '1'));
      await disk.close();
      assert.throws(() => storage.get('a'), hasCode('stopped'));
      const again = await subject.open();

      assert.deepEqual(await scan(await again.openStorage('state'), ALL), ['a=1']);
      await again.close();
    });

    check('a removed storage is gone with its rows', async (disk) => {
      const storage = await disk.openStorage('state');
      await write(storage, put('a', '1'));
      await storage.close();
      await disk.removeStorage('state');

      assert.deepEqual(await disk.storageNames(), []);
      assert.deepEqual(await scan(await disk.openStorage('state'), ALL), []);
    });

    check('removing a storage that is not there is fine', async (disk) => {
      await disk.removeStorage('state');
    });
  });

  describe(`${name}: journals`, () => {
    check('a journal is listed and removed like a storage', async (disk) => {
      const journal = await disk.openJournal('log');
      await write(journal, put('a', '1'));
      assert.deepEqual(await disk.storageNames(), ['log']);
      await journal.close();
      await disk.removeStorage('log');

      assert.deepEqual(await disk.storageNames(), []);
      assert.deepEqual(await scan(await disk.openJournal('log'), ALL), []);
    });

    check('a journal is open once at a time, and again after it was closed', async (disk) => {
      const journal = await disk.openJournal('log');
      await write(journal, put('a', '1'));
      await assert.rejects(disk.openJournal('log'), hasCode('directory-unusable'));
      await journal.close();
      const again = await disk.openJournal('log');

      assert.deepEqual(await scan(again, ALL), ['a=1']);
      assert.deepEqual(again.damage, []);
    });

    check('closing the disk closes its journals, and their rows outlive it', async (disk, subject) => {
      const journal = await disk.openJournal('log');
      await write(journal, put('a', '1'));
      await disk.close();
      assert.throws(() => journal.get('a'), hasCode('stopped'));
      const again = await subject.open();

      assert.deepEqual(await scan(await again.openJournal('log'), ALL), ['a=1']);
      await again.close();
    });
  });

  describe(`${name}: the disk itself`, () => {
    check('it says where it is and how much is free', async (disk) => {
      assert.notEqual(disk.label, '');
      assert.ok((await disk.freeBytes()) > 0);
    });

    check('a second open is refused while the first holds the lock', async (_disk, subject) => {
      await assert.rejects(async () => subject.open(), hasCode('directory-unusable'));
    });

    check('the lock is free again after closing', async (disk, subject) => {
      await disk.close();
      const again = await subject.open();
      await again.close();
    });

    check('a closed disk refuses everything, and may be closed twice', async (disk) => {
      await disk.close();
      await disk.close();

      await assert.rejects(async () => disk.readFile('file'), hasCode('stopped'));
      await assert.rejects(async () => disk.replaceFile('file', bytes('x')), hasCode('stopped'));
      await assert.rejects(async () => disk.openStorage('state'), hasCode('stopped'));
      await assert.rejects(async () => disk.openJournal('log'), hasCode('stopped'));
    });
  });
}

export function bytes(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}

export function text(content: Uint8Array | undefined): string | undefined {
  return content === undefined ? undefined : new TextDecoder().decode(content);
}
