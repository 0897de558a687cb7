/** Prepares a run's folder for the training that starts in it; a start that is refused before that changes nothing. */

import { ConfigError, systemCode } from '../../shared/errors.js';
import type { RunSetup } from '../options/run-setup.js';
import { writeDefinitionCopy } from './definition-copy.js';
import { moveResultsAside } from './run-folder.js';

/**
 * Returns a function that moves results of an earlier step aside and copies the definition. A file that can't be moved or written is
 * a warning, since the training itself needs neither. Any other error is thrown.
 */
export function prepareFolder({
  out,
  resume,
  copy,
}: Pick<RunSetup, 'out' | 'resume' | 'copy'>): (warn: (message: string) => void) => Promise<void> {
  const nowMs = Date.now();
  return async (warn) => {
    try {
      await moveResultsAside(out, resume?.manifest.step ?? 0, nowMs);
    } catch (error) {
      if (!(error instanceof ConfigError) && !isFileSystemError(error)) throw error;
      warn(error.message);
    }
    try {
      await writeDefinitionCopy(out, copy);
    } catch (error) {
      if (!isFileSystemError(error)) throw error;
      warn(`The definition can't be copied to ${out} (${systemCode(error) ?? ''}). The run keeps no copy of it.`);
    }
  };
}

function isFileSystemError(error: unknown): error is Error {
  return error instanceof Error && 'syscall' in error;
}
