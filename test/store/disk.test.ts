import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MemoryDrive } from '../../src/store/memory-disk.ts';
import { openSystemDisk } from '../../src/store/system-disk.ts';
import { runningClock } from '../helpers/running-clock.ts';
import { diskSuite } from '../suites/disk.ts';

diskSuite('system disk', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'carillon-disk-'));
  return {
    open: () => openSystemDisk(join(directory, 'data')),
    dispose: () => rm(directory, { recursive: true, force: true }),
  };
});

diskSuite('memory disk', async () => {
  const drive = new MemoryDrive({ label: 'memory', clock: runningClock() });
  return { open: async () => drive.open(), dispose: async () => {} };
});
