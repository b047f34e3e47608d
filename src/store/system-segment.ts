import { close, constants, fdatasync, ftruncate, open, read, readSync, unlink, write } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { encodeSegmentHeader, SEGMENT_HEADER_BYTES } from './segment-record.ts';

/** Numbers of the segments in a directory, ascending. */
export async function segmentNumbers(directory: string): Promise<number[]> {
  const names = await readdir(directory);
  return names
    .filter((name) => SEGMENT_NAME.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((left, right) => left - right);
}

export function segmentName(number: number): string {
  return `${number.toString().padStart(10, '0')}.segment`;
}

/** One file of a journal. Removed files are closed when nobody reads them any more. */
export class SystemSegment {
  readonly number: number;
  readonly path: string;
  readonly #fd: number;
  #size: number;
  #users = 1;

  private constructor(number: number, path: string, fd: number, size: number) {
    this.number = number;
    this.path = path;
    this.#fd = fd;
    this.#size = size;
  }

  /** Makes the file, or one that a crash left without a whole header anew. The directory is still to be synced. */
  static async create(directory: string, number: number): Promise<SystemSegment> {
    const path = join(directory, segmentName(number));
    const fd = await openFile(path, WRITE_FLAGS | constants.O_CREAT | constants.O_TRUNC, 0o600);
    const segment = new SystemSegment(number, path, fd, 0);
    await segment.append(encodeSegmentHeader(number));
    return segment;
  }

  static async open(directory: string, number: number): Promise<{ segment: SystemSegment; bytes: Buffer }> {
    const path = join(directory, segmentName(number));
    const bytes = await readFile(path);
    return { segment: new SystemSegment(number, path, await openFile(path, WRITE_FLAGS), bytes.length), bytes };
  }

  get size(): number {
    return this.#size;
  }

  get hasHeader(): boolean {
    return this.#size >= SEGMENT_HEADER_BYTES;
  }

  /** Durable once it resolves: each write syncs (O_DSYNC), which takes one turn of the thread pool instead of two. */
  async append(bytes: Buffer): Promise<void> {
    const { bytesWritten } = await writeFile(this.#fd, bytes, 0, bytes.length, this.#size);
    if (bytesWritten !== bytes.length) throw new Error(`only ${bytesWritten} of ${bytes.length} bytes were written`);
    this.#size += bytes.length;
  }

  async cut(size: number): Promise<void> {
    await truncateFile(this.#fd, size);
    await syncFile(this.#fd);
    this.#size = size;
  }

  async read(offset: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(length);
    const { bytesRead } = await readBytes(this.#fd, bytes, 0, length, offset);
    return checkLength(bytes, bytesRead);
  }

  readNow(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    return checkLength(bytes, readSync(this.#fd, bytes, 0, length, offset));
  }

  async remove(): Promise<void> {
    await unlinkFile(this.path);
    await this.release();
  }

  retain(): void {
    this.#users += 1;
  }

  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users === 0) await closeFile(this.#fd);
  }
}

function checkLength(bytes: Buffer, bytesRead: number): Buffer {
  if (bytesRead !== bytes.length) throw new Error(`the file ends after ${bytesRead} of ${bytes.length} bytes`);
  return bytes;
}

const WRITE_FLAGS = constants.O_RDWR | constants.O_DSYNC;
const SEGMENT_NAME = /^[0-9]{10}\.segment$/;
const openFile = promisify(open);
const writeFile = promisify(write);
const readBytes = promisify(read);
const closeFile = promisify(close);
const truncateFile = promisify(ftruncate);
const syncFile = promisify(fdatasync);
const unlinkFile = promisify(unlink);
