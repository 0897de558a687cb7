/** Makes renames durable. */

import { open } from 'node:fs/promises';

/** Writes the entries of a folder to the disk. @throws the error of the file system */
export async function syncDirectory(directory: string): Promise<void> {
  // Windows cannot sync a directory.
  if (process.platform === 'win32') return;
  const handle = await open(directory, 'r');
  await handle.sync().finally(() => handle.close());
}
