import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '../../src/base/random.ts';
import { openLevelStorage } from '../../src/store/level-storage.ts';
import { MemoryDatabase } from '../../src/store/memory-storage.ts';
import { openSystemJournal } from '../../src/store/system-journal.ts';
import { runningClock } from '../helpers/running-clock.ts';
import { storageSuite } from '../suites/storage.ts';

storageSuite('level storage', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-storage-'));
  return {
    open: () => openLevelStorage(join(directory, 'state')),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
});

storageSuite('memory storage', async () => {
  const random = seededRandom(1);
  const database = new MemoryDatabase({
    label: 'memory',
    clock: runningClock(),
    writeDelayMs: () => random() * 10,
  });
  return { open: async () => database.open(), dispose: async () => {} };
});

for (const [name, segmentBytes] of [
  ['journal', 16 * 1024 * 1024],
  ['journal with tiny segments', 2_000],
] as const) {
  storageSuite(
    name,
    async () => {
      const directory = await mkdtemp(join(tmpdir(), 'carillon-journal-'));
      return {
        open: () => openSystemJournal(join(directory, 'log'), { segmentBytes }),
        dispose: () => rm(directory, { recursive: true, force: true }),
      };
    },
    { handles: 'exclusive' },
  );
}
