/** Predicts from samples with the shapes of a model's inputs. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { lossOfOutputs, type LossConfig } from '../../shared/config/loss-config.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { finalActivations } from '../executor/final-activation.js';
import { outputNames } from '../objective/objective.js';
import { rankedClasses, type RankedClass } from './classify.js';

export interface SampleInputs {
  readonly inputs: readonly { readonly values: readonly number[]; readonly shape: readonly number[] }[];
}

/** All classes, the most probable first, or the values of the output with their shape. */
export type OutputPrediction =
  | { readonly output: string; readonly ranked: readonly RankedClass[] }
  | { readonly output: string; readonly shape: readonly number[]; readonly values: readonly number[] };

/**
 * Returns the prediction of each output. Logits become probabilities where the loss contains the softmax or the sigmoid. Leaves no
 * tensors behind.
 */
export function predictSample(
  tf: Tensorflow,
  model: LayersModel,
  loss: LossConfig,
  { inputs }: SampleInputs,
): OutputPrediction[] {
  const names = outputNames(model);
  const losses = lossOfOutputs(loss, names);
  const activations = finalActivations(model);
  const predictions: OutputPrediction[] = [];
  tf.tidy(() => {
    const tensors = inputs.map(({ values, shape }, i) =>
      tf.tensor([...values], [1, ...shape], model.inputs[i]?.dtype === 'int32' ? 'int32' : 'float32'),
    );
    const predicted = [model.predict(tensors.length === 1 ? (tensors[0] as Tensor) : tensors)].flat();
    for (const [i, output] of predicted.entries()) {
      const name = names[i] ?? '';
      const kind = losses[i]?.kind;
      const shape = output.shape.slice(1);
      const isSoftmax = activations[i] === 'softmax';
      if (shape.length === 1 && (shape[0] ?? 0) > 1 && (kind === 'softmaxCrossEntropy' || isSoftmax)) {
        const probabilities = isSoftmax ? output : tf.softmax(output);
        predictions.push({ output: name, ranked: rankedClasses(probabilities.dataSync<'float32'>()) });
        continue;
      }
      const isLogit = kind === 'binaryCrossEntropy' && activations[i] === 'linear';
      const values = (isLogit ? tf.sigmoid(output) : output).dataSync<'float32'>();
      predictions.push({ output: name, shape, values: Array.from(values) });
    }
  });
  return predictions;
}
