/** Reads single files out of a package as npm packs it: a gzipped tar archive with the folder `package/`. Writes nothing. */

import { gunzipSync } from 'node:zlib';
import { EngineError } from '../../../shared/errors.js';

const blockBytes = 512;

/**
 * Returns the contents of `names`, which are paths inside the package.
 * @param file name of the archive in errors
 * @throws EngineError if one of them is missing
 */
export function filesOfTarball(
  archive: Uint8Array,
  names: readonly string[],
  file: string,
): Map<string, Buffer> {
  const bytes = gunzipSync(archive);
  const found = new Map<string, Buffer>();
  const wanted = new Set(names.map((name) => `package/${name}`));
  for (let at = 0; at + blockBytes <= bytes.length && bytes[at] !== 0;) {
    const text = (from: number, length: number): string =>
      bytes.toString('latin1', at + from, at + from + length).replace(/\0.*$/s, '');
    const size = Number.parseInt(text(124, 12).trim(), 8);
    const prefix = text(345, 155);
    const name = prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`;
    const start = at + blockBytes;
    // The type of a plain file is 0 or NUL.
    if (wanted.has(name) && ['0', ''].includes(text(156, 1)))
      found.set(name.slice('package/'.length), bytes.subarray(start, start + size));
    at = start + Math.ceil(size / blockBytes) * blockBytes;
  }
  const missing = names.find((name) => !found.has(name));
  if (missing !== undefined)
    throw new EngineError(`Package ${file}: expected the file ${missing}, got none for this platform.`, {
      path: file,
    });
  return found;
}
