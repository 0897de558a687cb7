/**
 * Proof that a worker shares the folder of the run: the coordinator writes a random value there, and a worker that reads this value at
 * the same path, and can write there, shares it. Equal paths or host names prove nothing, since each host can have its own folder.
 */

import { randomBytes, randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

/** Name of the file with the value; removed at the end of the run. */
export const proofName = 'folder.proof';

export const folderProofSchema = z.strictObject({
  /** The run's folder. */
  path: z.string().max(4_096),
  value: z.string().regex(/^[0-9a-f]{32}$/),
});
export type FolderProof = Readonly<z.infer<typeof folderProofSchema>>;

/** Replaces the proof in the run's folder. If it cannot be written, no worker can read it, so no worker shares the folder. */
export function writeFolderProof(out: string): FolderProof {
  const value = randomBytes(16).toString('hex');
  const file = join(out, proofName);
  try {
    rmSync(file, { force: true });
    writeFileSync(file, value, { mode: 0o600, flag: 'wx' });
  } catch {
    // The workers find out.
  }
  return { path: out, value };
}

export function removeFolderProof(out: string): void {
  rmSync(join(out, proofName), { force: true });
}

/** Returns true if this process reads the proof and can write in its folder. */
export async function provesSharing({ path, value }: FolderProof): Promise<boolean> {
  try {
    if ((await readFile(join(path, proofName), 'utf8')) !== value) return false;
    const file = join(path, `.${proofName}-${randomUUID()}`);
    await writeFile(file, '', { mode: 0o600, flag: 'wx' });
    await rm(file);
    return true;
  } catch {
    return false;
  }
}
