/** Restores a folder of sockets after a cleaner of temporary folders has removed it. */

import { existsSync, mkdirSync, statSync } from 'node:fs';
import { getuid } from 'node:process';

/** Creates the folder if it is missing. Returns true if it then exists and belongs to this user. */
export function restoreFolder(folder: string): boolean {
  try {
    if (!existsSync(folder)) mkdirSync(folder, { mode: 0o700 });
    return statSync(folder).uid === getuid?.();
  } catch {
    return false;
  }
}
