/**
 * Finds and reads the four files of a data set in MNIST's layout, and reports missing files and wrong digests. Does not parse them.
 */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, systemCode } from '../errors.js';
import { chooseFile, readBounded } from './idx-file.js';

const fileNames = [
  'train-images-idx3-ubyte',
  'train-labels-idx1-ubyte',
  't10k-images-idx3-ubyte',
  't10k-labels-idx1-ubyte',
] as const;

export type IdxFileName = (typeof fileNames)[number];

export interface LoadedFile {
  readonly path: string;
  /** Uncompressed. */
  readonly bytes: Buffer;
}

/** Training images, training labels, test images, test labels. */
export type FourFiles = readonly [LoadedFile, LoadedFile, LoadedFile, LoadedFile];

/**
 * Reads the four files, in this order. A name may also be spelled `train-images.idx3-ubyte`, and a file may be compressed with gzip and
 * end in `.gz`. If several are present, the uncompressed one is read.
 * @throws DataError if the directory or a file is missing or unreadable
 */
export async function readFourFiles(dir: string): Promise<FourFiles> {
  const present = await listDirectory(dir);
  const chosen = fileNames.map((name) => chooseFile(present, [name, name.replace('-idx', '.idx')]));
  const missing = fileNames.filter((_, index) => chosen[index] === undefined).join(', ');
  if (missing) {
    const expected = fileNames.join(', ');
    const remedy = 'Put the missing files there, plain or as .gz.';
    const message = `Data directory ${dir}: expected ${expected}; missing: ${missing}. ${remedy}`;
    throw new DataError(message, { directory: dir, expected, missing, remedy });
  }
  const read = async (name = ''): Promise<LoadedFile> => {
    const path = join(dir, name);
    return { path, bytes: await readBounded(path) };
  };
  const [trainImages, trainLabels, testImages, testLabels] = chosen;
  return Promise.all([read(trainImages), read(trainLabels), read(testImages), read(testLabels)]);
}

/** @throws DataError for the first file whose SHA-256 (hex, of the uncompressed bytes) differs from `digests` */
export function verifyDigests(
  files: FourFiles,
  digests: Readonly<Record<IdxFileName, string>>,
  remedy: string,
): void {
  for (const [index, name] of fileNames.entries()) {
    const { path: file, bytes } = files[index] as LoadedFile;
    const expected = digests[name];
    const found = createHash('sha256').update(bytes).digest('hex');
    if (found === expected) continue;
    const message = `${file}: SHA-256 of the whole file: expected ${expected}, got ${found}. ${remedy}`;
    throw new DataError(message, { file, offset: 0, expected, found, remedy });
  }
}

async function listDirectory(dir: string): Promise<Set<string>> {
  try {
    return new Set(await readdir(dir));
  } catch (error) {
    const found = systemCode(error) ?? String(error);
    const missing = fileNames.join(', ');
    const remedy = `Name a directory that holds ${missing}.`;
    const fields = { directory: dir, expected: 'a readable directory', found, missing, remedy };
    throw new DataError(
      `Data directory ${dir}: expected a readable directory, got ${found}. ${remedy}`,
      fields,
      error,
    );
  }
}
