/** Temporary folders of this process, which only its user can enter. */

import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ConfigError, systemCode } from '../errors.js';

/**
 * Makes a folder with a random name.
 * @param name the beginning of its name
 * @param base the beginning of its path, if it is not in the folder that TMPDIR names
 * @throws ConfigError that names TMPDIR
 */
export function makeTemporaryFolder(name: string, base = join(tmpdir(), name)): string {
  try {
    return mkdtempSync(base);
  } catch (cause) {
    const folder = join(base, '..');
    throw new ConfigError(
      `TMPDIR: expected a folder in which this user can create others, got ${folder} (${systemCode(cause) ?? String(cause)}). ` +
        'Set TMPDIR to such a folder.',
      { folder },
      cause,
    );
  }
}
