/** Atomic writes of files. */

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/**
 * Writes a temporary file and renames it, so that the file is either complete or unchanged. Creates the folder.
 * @throws the error of the file system; the temporary file is removed
 */
export async function writeFileAtomically(file: string, bytes: Uint8Array | string): Promise<void> {
  const draft = `${file}.partial`;
  try {
    await mkdir(dirname(file), { recursive: true });
    await writeFile(draft, bytes);
    await rename(draft, file);
  } catch (cause) {
    await rm(draft, { force: true }).catch(() => undefined);
    throw cause;
  }
}
