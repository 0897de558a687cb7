/** The loop of `lockstep predict` over files of samples or rows. */

import { DataError } from '../../shared/errors.js';
import { exitStatus } from '../../shared/exit-status.js';
import { describeError } from '../exit.js';
import { PredictionSummary } from './predict-summary.js';

export interface PredictedFile {
  /** Name as given. */
  readonly file: string;
  readonly path: string;
}

/**
 * Calls `predict` for each file, then prints the summary. A file that cannot be read is reported, the others are used, and the status is 2.
 * @param predict prints the predictions of a file, and adds those with a known answer to the summary; a DataError is the file's fault
 */
export async function predictFiles(
  files: readonly PredictedFile[],
  json: boolean,
  predict: (file: PredictedFile, summary: PredictionSummary) => Promise<void>,
): Promise<number> {
  const summary = new PredictionSummary();
  let status: number = exitStatus.done;
  for (const one of files) {
    try {
      await predict(one, summary);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      process.stderr.write(`${describeError(error)}\n`);
      status = exitStatus.usage;
    }
  }
  for (const line of summary.lines(json)) process.stdout.write(`${line}\n`);
  return status;
}
