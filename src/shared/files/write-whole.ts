/** Files that are there whole or not at all. */

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Beside the place and then renamed; makes the folder. @throws what the file system says, with nothing left behind */
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
