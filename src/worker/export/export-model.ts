/**
 * Writes a saved model in the formats of other programs. Each is checked against its own reader in the tests: tfjs,
 * safetensors, onnxruntime, TensorFlow.
 */

import { join } from 'node:path';
import type { LayersModel } from '@tensorflow/tfjs';
import { encodeSafetensors, type NamedTensor } from '../../shared/checkpoint/safetensors.js';
import { CheckpointError, systemCode } from '../../shared/errors.js';
import { writeFileAtomically } from '../../shared/files/write-whole.js';
import type { LayerVariable } from '../executor/layer.js';
import { saveModel } from '../model-files/save-model.js';
import type { ExportFormat, WeightLayout } from './formats.js';
import { constant } from './layers.js';
import { lowerModel } from './lower.js';
import { OnnxWriter } from './onnx.js';
import { SavedModelWriter } from './saved-model.js';
import { torchModules, toTorch } from './torch-layout.js';

export interface ExportOptions {
  readonly format: ExportFormat;
  /** Of safetensors. */
  readonly layout: WeightLayout;
  /** File (safetensors, onnx) or folder (tfjs, savedmodel). */
  readonly out: string;
  /** Of Lockstep. */
  readonly version: string;
}

/** Returns the path that the format's reader wants. @throws ModelError for a layer that the format can't take, CheckpointError */
export async function exportModel(model: LayersModel, options: ExportOptions): Promise<string> {
  const { format, layout, out, version } = options;
  switch (format) {
    case 'tfjs':
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

/** Names and shapes as in tfjs. */
function ownTensors(model: LayersModel): Map<string, NamedTensor> {
  const variables = model.weights as unknown as LayerVariable[];
  return new Map(variables.map((variable) => [variable.originalName, constant(variable)]));
}

/** `<layer>.weight` and so on, as torch.load_state_dict wants a module's tensors. */
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
      `Export: ${file} can't be written (${systemCode(cause) ?? String(cause)}). Choose another --out with room to write.`,
      { file },
      cause,
    );
  }
}
