/** Saves the trained model as a tfjs LayersModel, model.json and one weights file, for tf.loadLayersModel. */

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayersModel, io } from '@tensorflow/tfjs';
import { CheckpointError, systemCode } from '../../shared/errors.js';

/** Name of the model's folder in a run's folder. */
export const modelFolder = 'model';

const weightsFile = 'weights.bin';

/**
 * Writes the folder `target` and replaces an existing one. Writes to a temporary folder first and renames it, so that a crash leaves no
 * incomplete model. The caller keeps the model.
 * @returns the path of model.json
 * @throws CheckpointError if the model cannot be written
 */
export async function saveModel(model: LayersModel, target: string): Promise<string> {
  const draft = `${target}.partial`;
  try {
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true });
    await model.save({
      save: async (artifacts: io.ModelArtifacts) => {
        const { weightData, weightSpecs = [], ...rest } = artifacts;
        const buffers = Array.isArray(weightData) ? weightData : [weightData ?? new ArrayBuffer(0)];
        const manifest = [{ paths: [weightsFile], weights: weightSpecs }];
        await writeFile(
          join(draft, weightsFile),
          Buffer.concat(buffers.map((buffer) => Buffer.from(buffer))),
        );
        await writeFile(
          join(draft, 'model.json'),
          JSON.stringify({
            ...rest,
            format: 'layers-model',
            generatedBy: 'Lockstep',
            weightsManifest: manifest,
          }),
        );
        return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: 'JSON' } };
      },
    });
    await rm(target, { recursive: true, force: true });
    await rename(draft, target);
  } catch (cause) {
    throw new CheckpointError(
      `Model can't be saved to ${target}: ${systemCode(cause) ?? (cause instanceof Error ? cause.message : String(cause))}. ` +
        'Choose another --out with enough free space.',
      { target },
      cause,
    );
  }
  return join(target, 'model.json');
}
