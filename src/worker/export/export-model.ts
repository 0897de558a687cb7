/**
 * Writes a saved model in the formats of other programs. The tests check each against its own reader: tfjs,
 * safetensors, onnxruntime, TensorFlow.
 */

import { join } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { encodeSafetensors, type NamedTensor } from '../../shared/checkpoint/safetensors.js';
import { CheckpointError, ModelError, systemCode } from '../../shared/errors.js';
import { writeFileAtomically } from '../../shared/files/write-whole.js';
import { ambiguousLayers, weightPaths, weightsOf } from '../executor/model-weights.js';
import { saveModel } from '../model-files/save-model.js';
import type { ExportFormat, WeightLayout } from './formats.js';
import { constantOf } from './layers.js';
import { lowerModel } from './lower.js';
import { OnnxWriter } from './onnx.js';
import { SavedModelWriter } from './saved-model.js';
import { torchModules, toTorch } from './torch-layout.js';

export interface ExportOptions {
  readonly format: ExportFormat;
  /** Layout of safetensors. */
  readonly layout: WeightLayout;
  /** Output file (safetensors, onnx) or folder (tfjs, savedmodel). */
  readonly out: string;
  /** Lockstep's version, recorded in the file. */
  readonly version: string;
}

/**
 * Returns the path that the format's reader expects.
 * @throws ModelError for a layer that the format does not support, CheckpointError if writing fails
 */
export async function exportModel(model: LayersModel, options: ExportOptions): Promise<string> {
  const { format, layout, out, version } = options;
  switch (format) {
    case 'tfjs':
      checkNames(model);
      return saveModel(model, out);
    case 'safetensors':
      return write(
        out,
        encodeSafetensors(layout === 'tfjs' ? ownTensors(model) : torchTensors(model), {
          format: layout === 'tfjs' ? 'tfjs' : 'pt',
        }),
      );
    case 'onnx': {
      const writer = new OnnxWriter(model.name, version, model.outputNames);
      lowerModel(model, writer, 'ONNX');
      return write(out, writer.finish());
    }
    case 'savedmodel': {
      const writer = new SavedModelWriter();
      lowerModel(model, writer, 'SavedModel');
      await write(join(out, 'saved_model.pb'), writer.finish());
      return out;
    }
  }
}

/** @throws ModelError for a model that tf.loadLayersModel cannot open */
function checkNames(model: LayersModel): void {
  const [layer] = ambiguousLayers(model);
  if (!layer) return;
  throw new ModelError(
    `Export to tfjs: layer "${layer.name}" (${layer.getClassName()}): expected weights of different names, got several of one ` +
      'name, with which tf.loadLayersModel opens no model. Make them with addWeight, or use --format safetensors.',
  );
}

/** Returns the weights with tfjs's shapes, under the names that they have in checkpoints. */
function ownTensors(model: LayersModel): Map<string, NamedTensor> {
  const paths = weightPaths(model);
  return new Map(weightsOf(model).map((variable, i) => [paths[i] ?? '', constantOf(variable)]));
}

/** Returns the weights as `<layer>.weight` and so on, the form of a PyTorch state dict. */
function torchTensors(model: LayersModel): Map<string, NamedTensor> {
  return new Map(
    torchModules(model).flatMap(({ layer, tensors }) =>
      tensors.map(
        (tensor) => [`${layer}.${tensor.part}`, { shape: tensor.shape, values: toTorch(tensor) }] as const,
      ),
    ),
  );
}

async function write(file: string, bytes: Buffer): Promise<string> {
  try {
    await writeFileAtomically(file, bytes);
    return file;
  } catch (cause) {
    throw new CheckpointError(
      `Export: ${file} cannot be written (${systemCode(cause) ?? String(cause)}). Choose another --out with room to write.`,
      { file },
      cause,
    );
  }
}
