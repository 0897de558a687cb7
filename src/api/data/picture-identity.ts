/** The part of a data set's identity that stands for one picture. */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { checkFile } from './picture.js';

/** Bytes that are hashed at the beginning and at the end of a file. Reading all files whole would delay every start of a worker. */
const sampleBytes = 4_096;

/** Number of files that are read at the same time. */
const concurrentReads = 32;

/**
 * Returns the identities of pictures in order, see `pictureIdentity`.
 * @throws DataError of the first file in order that is wrong
 */
export async function pictureIdentities(paths: readonly string[]): Promise<string[]> {
  const identities: string[] = [];
  for (let start = 0; start < paths.length; start += concurrentReads) {
    const reads = await Promise.allSettled(paths.slice(start, start + concurrentReads).map(pictureIdentity));
    for (const read of reads) {
      if (read.status === 'rejected') throw read.reason;
      identities.push(read.value);
    }
  }
  return identities;
}

/**
 * Returns the size of the file and a hash of its first and last 4 KiB, which differ between compressed pictures even if their sizes are
 * equal. A change of bytes in the middle only, which keeps the size, is not noticed.
 * @throws DataError unless `path` is a file with content that can be read
 */
async function pictureIdentity(path: string): Promise<string> {
  const size = await checkFile(path);
  const handle = await open(path);
  try {
    const bytes = Buffer.alloc(Math.min(size, 2 * sampleBytes));
    const first = Math.min(size, sampleBytes);
    await handle.read(bytes, 0, first, 0);
    await handle.read(bytes, first, bytes.length - first, size - (bytes.length - first));
    return `${size}:${createHash('sha256').update(bytes).digest('hex').slice(0, 32)}`;
  } finally {
    await handle.close();
  }
}
