/** Prepares a run's folder for the training that starts in it; a start that is refused before that changes nothing. */

import { join } from 'node:path';
import { checkpointsFolder } from '../../shared/checkpoint/manifest.js';
import { removeUnfinished } from '../../shared/checkpoint/write-checkpoint.js';
import { ConfigError, systemCode } from '../../shared/errors.js';
import type { RunSetup } from '../options/run-setup.js';
import { writeDefinitionCopy } from './definition-copy.js';
import { moveResultsAside } from './run-folder.js';

/**
 * Returns a function that moves results of an earlier step aside, removes unfinished checkpoints and copies the definition. A file
 * that can't be moved, removed or written is a warning, since the training itself needs none of this. Any other error is thrown.
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
      await removeUnfinished(join(out, checkpointsFolder), nowMs);
    } catch (error) {
      if (!isFileSystemError(error)) throw error;
      warn(`Unfinished checkpoints in ${out} can't be removed (${systemCode(error) ?? ''}).`);
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
