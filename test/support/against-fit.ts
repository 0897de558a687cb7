/** Trains a model by Lockstep's executor and by tfjs's own `fit`, on the same batches from the same weights. */
import type { LayersModel, Tensor, layers } from '@tensorflow/tfjs';
import { expect } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import type { LoadedDefinition } from '../../src/api/load-definition.js';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import type { SampleBuffers, TrainingData } from '../../src/shared/data/training-data.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import type { GenerationContext } from '../../src/worker/training/generation-context.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone } from './in-process.js';

export interface Column {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32';
  /** The element `at` of sample `index`. */
  readonly value: (index: number, at: number) => number;
}

export const wave: Column['value'] = (index, at) => Math.sin(index * 1.7 + at * 2.3 + 0.4);

/** Samples that are functions of their index. */
export function columnData(
  count: number,
  inputs: readonly Column[],
  targets: readonly Column[],
): TrainingData {
  const fillColumns = (columns: readonly Column[], buffers: SampleBuffers['inputs'], indices: Int32Array) => {
    for (const [c, { shape, value }] of columns.entries()) {
      const size = shape.reduce((product, dimension) => product * dimension, 1);
      for (const [i, index] of indices.entries())
        for (let at = 0; at < size; at++) (buffers[c] as Float32Array)[i * size + at] = value(index, at);
    }
  };
  const specs = (columns: readonly Column[]) =>
    columns.map(({ shape, dtype }) => ({ shape: [...shape], dtype }));
  const split = {
    count,
    inputs: specs(inputs),
    targets: specs(targets),
    fill: (indices: Int32Array, buffers: SampleBuffers) => {
      fillColumns(inputs, buffers.inputs, indices);
      fillColumns(targets, buffers.targets, indices);
    },
  };
  return { name: 'columns', sha256: '0'.repeat(64), train: split, test: split };
}

export type Build = LoadedDefinition['model'];
export const learningRate = 0.05;
const sgd = { kind: 'sgd', learningRate } as const;

/** A worker without others, with SGD at a constant rate and the mean squared error. */
export function regression(
  engine: Engine,
  build: Build,
  data: TrainingData,
  config: RunConfigInput = {},
): Promise<GenerationContext> {
  const fixed = { optimizer: sgd, schedule: { kind: 'constant' }, loss: 'meanSquaredError' } as const;
  return alone(engine, build, { shards: 1, batchSize: 8, seed: 3, ...fixed, ...config }, data);
}

/** The inputs and targets of the batch of `step`. */
export function tensorsOf({ replica, sampler, reader }: GenerationContext, step: number) {
  const { tf } = replica.engine;
  const plan = sampler.plan(step);
  const { inputs, targets, count } = reader.samplesAt(plan, { start: 0, end: plan.count });
  const { train } = replica.data;
  const tensors = (values: readonly ArrayLike<number>[], specs: typeof train.inputs): Tensor[] =>
    specs.map(({ shape, dtype }, i) =>
      tf.tensor(Array.from(values[i] ?? []), [count, ...shape], dtype === 'float32' ? 'float32' : 'int32'),
    );
  return { inputs: tensors(inputs, train.inputs), targets: tensors(targets, train.targets) };
}

export const weightsOf = (model: LayersModel): Float32Array[] =>
  model.getWeights().map((weight) => Float32Array.from(weight.dataSync<'float32'>()));

const norm = (values: Float32Array): number => Math.hypot(...values);

/**
 * Trains `steps` steps both ways and expects the losses and every weight to be equal within `tolerance` relative. `only` selects the
 * weights to compare by name; by default all.
 */
export async function expectTrainsLikeFit(
  engine: Engine,
  build: Build,
  data: TrainingData,
  { steps = 3, shards = 1, tolerance = 1e-5, only = (name: string): boolean => name !== '' } = {},
): Promise<void> {
  const { tf } = engine;
  const context = await regression(engine, build, data, { shards });
  const { model } = context.replica;
  const reference = await build({ tf, seed: 3, loadModel: () => Promise.reject(new Error('no model')) });
  reference.setWeights(model.getWeights());
  reference.compile({ optimizer: tf.train.sgd(learningRate), loss: 'meanSquaredError' });
  for (let step = 1; step <= steps; step++) {
    const { inputs, targets } = tensorsOf(context, step);
    const { history } = await reference.fit(inputs, targets, { epochs: 1, batchSize: 8, shuffle: false });
    const [expected] = history['loss'] as number[];
    const { loss } = trainStep(context, context.sampler.plan(step));
    expect(
      Math.abs(loss - (expected ?? NaN)) / Math.abs(expected ?? NaN),
      `loss of step ${step}`,
    ).toBeLessThan(tolerance);
  }
  const [found, expected] = [weightsOf(model), weightsOf(reference)];
  expect(found).toHaveLength(expected.length);
  for (const [w, values] of expected.entries()) {
    const name = model.weights[w]?.originalName ?? '';
    if (!only(name)) continue;
    const distance = norm(values.map((value, i) => value - (found[w]?.[i] ?? NaN)));
    expect(distance / Math.max(norm(values), 1e-3), name).toBeLessThan(tolerance);
  }
  reference.dispose();
}

/** Sequences of 4 steps with 3 features, and one target. */
export const [time, features] = [4, 3];
export const sequence: Column = { shape: [time, features], dtype: 'float32', value: wave };
export const sequences = columnData(24, [sequence], [{ shape: [1], dtype: 'float32', value: wave }]);

/** Trains the layer behind a dense one on sequences, so that the gradient passes through it. */
export const behindDense =
  (make: (tf: ModelContext['tf']) => layers.Layer): ((context: ModelContext) => LayersModel) =>
  ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.dense({ units: features, inputShape: [time, features] }),
        make(tf),
        tf.layers.flatten(),
        tf.layers.dense({ units: 1 }),
      ],
    });
