/** The file beside a saved model that describes the conversion of its inputs. */

import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { preprocessingName } from '../../shared/artefacts/artefact.js';
import { preprocessingSchema, type Preprocessing } from '../../shared/data/preprocessing.js';
import { CheckpointError, ModelError, systemCode } from '../../shared/errors.js';

/** @param modelJson path of the saved model.json @throws CheckpointError if the file cannot be written */
export async function savePreprocessing(modelJson: string, preprocessing: Preprocessing): Promise<void> {
  const file = join(dirname(modelJson), preprocessingName);
  try {
    await writeFile(file, `${JSON.stringify(preprocessing)}\n`);
  } catch (cause) {
    const code = systemCode(cause) ?? String(cause);
    throw new CheckpointError(`${file} can't be written: ${code}. Free some space.`, { file }, cause);
  }
}

/**
 * Returns the description beside a model.json; undefined if there is none.
 * @throws ModelError if the file is damaged
 */
export async function readPreprocessing(modelJson: string): Promise<Preprocessing | undefined> {
  const file = join(dirname(modelJson), preprocessingName);
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw new ModelError(`${file} can't be read (${systemCode(cause) ?? String(cause)}).`, { file }, cause);
  }
  try {
    return preprocessingSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ModelError(
      `${file}: expected the preprocessing that training saved, got other text. Copy the whole folder again, or train again.`,
      { file },
      cause,
    );
  }
}
