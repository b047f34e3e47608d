/** A small disk that can be filled to its last block. */
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { command } from './machine.ts';

export class TinyDisk {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async mount(directory: string, size: string): Promise<TinyDisk> {
    await mkdir(directory, { recursive: true });
    await command('mount', '-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', directory);
    return new TinyDisk(directory);
  }

  async fill(): Promise<void> {
    const file = await open(this.#filler, 'w');
    try {
      for (let bytes = 1 << 20; bytes >= 1; bytes >>= 1) {
        const block = Buffer.alloc(bytes);
        while (await write(file, block));
      }
    } finally {
      await file.close();
    }
  }

  async free(): Promise<void> {
    await rm(this.#filler, { force: true });
  }

  /** What lies on it is gone then. */
  async unmount(): Promise<void> {
    await command('umount', this.directory);
  }

  get #filler(): string {
    return join(this.directory, 'filler');
  }
}

/** False where nothing fitted. A short write fills what was left. */
async function write(file: Awaited<ReturnType<typeof open>>, block: Buffer): Promise<boolean> {
  try {
    const { bytesWritten } = await file.write(block);
    return bytesWritten > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}
