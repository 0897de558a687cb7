/** Writes IDX files for tests: the encoder that src has no need of. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function encodeIdx(magic: number, dimensions: readonly number[], body: Uint8Array): Buffer {
  const header = Buffer.alloc(4 * (1 + dimensions.length));
  [magic, ...dimensions].forEach((word, index) => header.writeUInt32BE(word, 4 * index));
  return Buffer.concat([header, body]);
}

export function encodeImages(count: number, height: number, width: number, pixels?: Uint8Array): Buffer {
  const body = pixels ?? Uint8Array.from({ length: count * height * width }, (_, index) => index % 251);
  return encodeIdx(0x803, [count, height, width], body);
}

export function encodeLabels(labels: readonly number[] | Uint8Array): Buffer {
  return encodeIdx(0x801, [labels.length], Uint8Array.from(labels));
}

/** The four files of a whole data set: three training images and two test images of 2x3 pixels. */
export function smallSet(): Record<string, Buffer> {
  return {
    'train-images-idx3-ubyte': encodeImages(3, 2, 3),
    'train-labels-idx1-ubyte': encodeLabels([0, 9, 4]),
    't10k-images-idx3-ubyte': encodeImages(2, 2, 3),
    't10k-labels-idx1-ubyte': encodeLabels([1, 2]),
  };
}

/** Runs `use` in a fresh directory that holds `files`, and removes it afterwards. */
export async function withFiles<T>(
  files: Readonly<Record<string, Uint8Array>>,
  use: (dir: string) => Promise<T>,
): Promise<T> {
  const parent = await mkdtemp(join(tmpdir(), 'lockstep-data-'));
  try {
    const dir = join(parent, 'digits');
    await mkdir(dir);
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(dir, name), bytes);
    return await use(dir);
  } finally {
    await rm(parent, { recursive: true, force: true });
  }
}

/** Returns the error that `action` throws; fails if it throws none. */
export async function thrownBy(action: () => unknown): Promise<unknown> {
  try {
    await action();
  } catch (error) {
    return error;
  }
  throw new Error('expected an error, but nothing was thrown');
}
