/** A small model with the data that it is trained on, for comparisons with tfjs's own `fit` and between numbers of workers. */

import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import { seeded } from '../../../scripts/fuzz/mutate.js';
import type { Tensorflow } from '../../../src/api/tensorflow.js';
import type { SampleBuffers, TensorSpec, TrainingData } from '../../../src/shared/data/training-data.js';
import { elementCount } from '../../../src/shared/model/layout.js';

export type { Tensorflow };

export type LossKind = 'meanSquaredError' | 'softmaxCrossEntropy' | 'binaryCrossEntropy';

export interface ModelCase {
  readonly name: string;
  readonly build: (tf: Tensorflow) => LayersModel;
  /** An equal model with weights of the same shapes for tfjs's `fit`, where tfjs cannot train `build`'s. */
  readonly reference?: (tf: Tensorflow) => LayersModel;
  /** Loss of all outputs; default: meanSquaredError. */
  readonly loss?: LossKind;
  /** Size of the vocabulary of each input that consists of token numbers, by position of the input; 0 is the padding. */
  readonly vocabulary?: readonly (number | undefined)[];
  /** Sequences end in time steps of zeros, which a Masking layer skips. */
  readonly padded?: boolean;
  readonly learningRate?: number;
}

/** Uniform over [-1, 1), from an integer generator. */
export type Uniform = () => number;

export function uniform(seed: number): Uniform {
  const draw = seeded(seed);
  return () => draw(2 ** 30) / 2 ** 29 - 1;
}

interface Shapes {
  readonly inputs: readonly (readonly number[])[];
  readonly outputs: readonly (readonly number[])[];
}

/** Shapes of one sample. */
export function shapesOf(model: LayersModel): Shapes {
  const inner = ({ shape }: { readonly shape: readonly (number | null)[] }): number[] =>
    shape.slice(1).map((size) => size ?? 5);
  return { inputs: model.inputs.map(inner), outputs: model.outputs.map(inner) };
}

/**
 * Adds small numbers to all weights, so that no bias is zero and no scale is one: errors in their gradients would otherwise vanish in
 * the first steps.
 */
export function perturb(tf: Tensorflow, model: LayersModel, seed: number): LayersModel {
  const draw = uniform(seed);
  tf.tidy(() => {
    const weights = model.getWeights().map((weight) => {
      // By 0.2 at most: a running variance, which is 1 at first, stays positive.
      const values = Float32Array.from(weight.dataSync<'float32'>(), (value) => value + 0.2 * draw());
      return tf.tensor<Tensor['rankType']>(values, weight.shape);
    });
    model.setWeights(weights);
  });
  return model;
}

/** `count` random samples that fit the model. */
export function dataOf(
  { name, vocabulary = [], padded = false, loss }: ModelCase,
  { inputs, outputs }: Shapes,
  count: number,
  seed = 1,
): TrainingData {
  const draw = uniform(seed);
  const values = (shape: readonly number[]): number[] =>
    Array.from({ length: elementCount(shape) }, () => draw());
  const below = (limit: number): number => Math.floor(((draw() + 1) / 2) * limit);
  const sequence = (shape: readonly number[], words: number | undefined): number[] => {
    const [steps = 1, ...features] = shape;
    const size = elementCount(features);
    // One sample in eight has no padding at all.
    const length = padded || words !== undefined ? 1 + below(steps) : steps;
    return Array.from({ length: steps * size }, (_, i) => {
      const value = words === undefined ? draw() : 1 + below(words - 1);
      return Math.floor(i / size) < length ? value : 0;
    });
  };
  const target = (shape: readonly number[]): number[] => {
    if (loss === 'binaryCrossEntropy') return values(shape).map((value) => (value > 0 ? 1 : 0));
    if (loss !== 'softmaxCrossEntropy') return values(shape);
    return Array.from({ length: elementCount(shape.slice(0, -1)) }, () => below(shape.at(-1) ?? 1));
  };
  const samples = Array.from({ length: count }, () => ({
    inputs: inputs.map((shape, i) => sequence(shape, vocabulary[i])),
    targets: outputs.map(target),
  }));
  const inputSpecs = inputs.map((shape): TensorSpec => ({ shape, dtype: 'float32' }));
  const targetSpecs = outputs.map((shape): TensorSpec =>
    loss === 'softmaxCrossEntropy'
      ? { shape: shape.slice(0, -1), dtype: 'int32', classes: shape.at(-1) ?? 1 }
      : { shape, dtype: 'float32' },
  );
  const split = {
    count,
    inputs: inputSpecs,
    targets: targetSpecs,
    fill: (indices: Int32Array, into: SampleBuffers): void => {
      for (const [i, index] of indices.entries()) {
        const sample = samples[index];
        into.inputs.forEach((buffer, at) => {
          const row = sample?.inputs[at] ?? [];
          buffer.set(row, i * row.length);
        });
        into.targets.forEach((buffer, at) => {
          const row = sample?.targets[at] ?? [];
          buffer.set(row, i * row.length);
        });
      }
    },
  };
  return { name, sha256: '0'.repeat(64), train: split, test: split };
}
