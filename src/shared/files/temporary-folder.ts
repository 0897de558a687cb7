/** Temporary folders of this process, which only its user can enter. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../errors.js';

/**
 * Makes a folder with a random name.
 * @param name the beginning of its name
 * @param folder the folder in which it is made; by default the one that TMPDIR names
 * @throws ConfigError that names TMPDIR
 */
export function makeTemporaryFolder(name: string, folder = tmpdir()): string {
  try {
    return mkdtempSync(join(folder, name));
  } catch (cause) {
    throw new ConfigError(
      `TMPDIR: expected a folder in which this user can create others, got ${folder} (${systemCode(cause) ?? String(cause)}). ` +
        'Set TMPDIR to such a folder.',
      { folder },
      cause,
    );
  }
}
