/** The trained model as a plain tfjs LayersModel: model.json and one weights file, which tf.loadLayersModel opens anywhere. */

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayersModel, io } from '@tensorflow/tfjs';
import { CheckpointError, systemCode } from '../../shared/errors.js';

/** In a run's folder. */
export const modelFolder = 'model';

const weightsFile = 'weights.bin';

/**
 * Writes the folder `target`, replacing one that is there. Written beside it first and renamed, so a crash leaves no half
 * of a model. Returns the path of its model.json. @throws CheckpointError when it can't be written.
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
        'Choose another --out with room to write.',
      { target },
      cause,
    );
  }
  return join(target, 'model.json');
}
