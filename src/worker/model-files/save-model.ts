/**
 * Saves the trained model as a tfjs LayersModel, model.json and one weights file, for tf.loadLayersModel. Every weight has the name
 * that it has in checkpoints (`executor/model-weights.ts`).
 */

import { mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { io } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { topologyName, weightsName } from '../../shared/artefacts/artefact.js';
import { CheckpointError, InvariantError, systemCode } from '../../shared/errors.js';
import { weightPaths, weightsOf } from '../executor/model-weights.js';
import type { LayerConfig } from './layer-config.js';
import { uniqueTopology } from './unique-topology.js';

/** The weights are written in pieces of this many bytes. */
const pieceBytes = 4 * 2 ** 20;

/**
 * Writes the folder `target` and replaces an existing one. Writes to a temporary folder first and renames it, so that a crash leaves no
 * incomplete model. The caller keeps the model.
 * @param onPiece called after each piece of at most 4 MiB of the weights has been written
 * @returns the path of model.json
 * @throws CheckpointError if the model cannot be written
 */
export async function saveModel(
  model: LayersModel,
  target: string,
  onPiece: () => void = () => undefined,
): Promise<string> {
  const draft = `${target}.partial`;
  try {
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true });
    await model.save({
      save: async (artifacts: io.ModelArtifacts) => {
        const { specs, parts } = encodeWeights(model);
        const manifest = [{ paths: [weightsName], weights: specs }];
        await writePieces(join(draft, weightsName), parts, onPiece);
        await writeFile(
          join(draft, topologyName),
          JSON.stringify({
            ...artifacts,
            weightData: undefined,
            weightSpecs: undefined,
            modelTopology: uniqueTopology(model, artifacts.modelTopology as unknown as LayerConfig),
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
    if (cause instanceof InvariantError) throw cause;
    throw new CheckpointError(
      `Model can't be saved to ${target}: ${systemCode(cause) ?? (cause instanceof Error ? cause.message : String(cause))}. ` +
        'Choose another --out with enough free space.',
      { target },
      cause,
    );
  }
  return join(target, topologyName);
}

async function writePieces(file: string, parts: readonly Buffer[], onPiece: () => void): Promise<void> {
  const handle = await open(file, 'w');
  try {
    for (const part of parts) {
      for (let start = 0; start < part.length; start += pieceBytes) {
        await handle.writeFile(part.subarray(start, start + pieceBytes));
        onPiece();
      }
    }
  } finally {
    await handle.close();
  }
}

/** Returns the entry of each weight in the manifest, and their bytes in the same order, as tfjs encodes them. */
function encodeWeights(model: LayersModel): { specs: io.WeightsManifestEntry[]; parts: Buffer[] } {
  const paths = weightPaths(model);
  const specs: io.WeightsManifestEntry[] = [];
  const parts: Buffer[] = [];
  for (const [i, variable] of weightsOf(model).entries()) {
    const tensor = variable.read();
    const values = tensor.dataSync();
    const { dtype } = tensor;
    if (dtype === 'string') throw new InvariantError(`weight ${variable.originalName} holds text`);
    specs.push({ name: paths[i] ?? variable.originalName, shape: tensor.shape, dtype });
    parts.push(Buffer.from(values.buffer, values.byteOffset, values.byteLength));
  }
  return { specs, parts };
}
