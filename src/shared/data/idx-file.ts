/**
 * Reads one data file into memory, plain or compressed with gzip, up to a limit. Does not interpret the contents.
 */
import { readFile, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import { DataError, systemCode } from '../errors.js';
import { damagedFile, MAX_IDX_BYTES, REPLACE_FILE } from './idx.js';

const gunzipBytes = promisify(gunzip);

/** The first of `candidates` that is in `present`, a plain file before any `.gz`; undefined if there is none. */
export function chooseFile(present: ReadonlySet<string>, candidates: readonly string[]): string | undefined {
  return [...candidates, ...candidates.map((name) => `${name}.gz`)].find((name) => present.has(name));
}

/**
 * Reads the uncompressed bytes of `path`. The size is checked before the file is read, and decompression stops at the limit.
 * @throws DataError if the file cannot be read, is not a regular file, has more than `maxBytes` uncompressed bytes, or is damaged
 */
export async function readBounded(path: string, maxBytes: number = MAX_IDX_BYTES): Promise<Buffer> {
  const bytes = await readRegularFile(path, maxBytes);
  if (!path.endsWith('.gz')) return bytes;
  try {
    return await gunzipBytes(bytes, { maxOutputLength: maxBytes });
  } catch (error) {
    if (systemCode(error) === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(path, maxBytes, 'more', error);
    const found = error instanceof Error ? error.message : String(error);
    throw damagedFile(path, { what: 'gzip stream', offset: 0, expected: 'whole gzip data', found }, error);
  }
}

async function readRegularFile(path: string, maxBytes: number): Promise<Buffer> {
  try {
    // Checked first, since opening a pipe would block until another process writes to it.
    const stats = await stat(path);
    if (!stats.isFile()) {
      const found = stats.isDirectory() ? 'a directory' : 'a special file';
      const damage = { what: 'data file', offset: 0, expected: 'a regular file', found };
      throw damagedFile(path, damage);
    }
    if (stats.size > maxBytes) throw tooLarge(path, maxBytes, `${stats.size} bytes`);
    return await readFile(path);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const found = systemCode(error) ?? String(error);
    const remedy = 'Make the file readable for this user.';
    const damage = { what: 'data file', offset: 0, expected: 'a readable file', found, remedy };
    throw damagedFile(path, damage, error);
  }
}

function tooLarge(path: string, maxBytes: number, found: string, cause?: unknown): DataError {
  const expected = `at most ${maxBytes} uncompressed bytes`;
  return damagedFile(
    path,
    { what: 'file size', offset: maxBytes, expected, found, remedy: REPLACE_FILE },
    cause,
  );
}
