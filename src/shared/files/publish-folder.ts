/** Gives a complete folder its name, so that a crash leaves no incomplete one under it. */

import { rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncDirectory } from './sync-directory.js';

/** Replaces `target` by the complete and synced folder `draft`. @throws the error of the file system */
export async function publishFolder(draft: string, target: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await rename(draft, target);
  await syncDirectory(dirname(target));
}
