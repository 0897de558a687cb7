/**
 * tfjs's own `fit` on the batches of a Lockstep run, as the reference for its losses and weights. It runs on tfjs's backend in plain
 * JavaScript, which shares no kernel with Lockstep's engines.
 */

import type { LayersModel, Tensor, losses } from '@tensorflow/tfjs';
import type { TrainingData } from '../../../src/shared/data/training-data.js';
import { elementCount } from '../../../src/shared/model/layout.js';
import { readSamples } from '../../../src/worker/data/batch-reader.js';
import { batchNormUpdates, completeNormalizations } from './batch-norm-rule.js';
import { correctResizeGradient } from '../../../src/worker/kernels/resize-gradient.js';
import type { LossKind, ModelCase, Tensorflow } from './model-case.js';

export interface Fit {
  /** Loss of each step, before its update. */
  readonly losses: readonly number[];
  /** In the order of `model.weights`. */
  readonly weights: readonly Float64Array[];
  /** Outputs of `predict` with the weights `finalWeights`, concatenated. */
  readonly predictions: readonly number[];
}

export interface FitOptions {
  readonly learningRate: number;
  readonly batchSize: number;
  /** `pytorch`: the running variances are those of Lockstep's rule; `tfjs`: those of tfjs. */
  readonly arithmetic: 'pytorch' | 'tfjs';
  /** The order of the samples in each epoch. */
  readonly epochs: readonly Int32Array[];
  readonly initialWeights: readonly Float32Array[];
  /** Weights for the predictions. */
  readonly finalWeights: readonly Float32Array[];
}

export type ReferencePrecision = 'float32' | 'float64';

type LossFunction = (target: Tensor, prediction: Tensor) => Tensor;

function lossOf(tf: Tensorflow, kind: LossKind): string | LossFunction {
  const of: typeof losses = tf.losses;
  if (kind === 'softmaxCrossEntropy')
    return (target, prediction) => of.softmaxCrossEntropy(target, prediction);
  if (kind === 'binaryCrossEntropy')
    return (target, prediction) => of.sigmoidCrossEntropy(target, prediction);
  return 'meanSquaredError';
}

/**
 * Runs `body` on the backend in plain JavaScript and returns to the present backend. In float64, the backend finds Float64Array under
 * the name Float32Array, so that all its values have that type.
 */
async function inJavaScript<T>(
  tf: Tensorflow,
  precision: ReferencePrecision,
  body: () => Promise<T>,
): Promise<T> {
  correctResizeGradient(tf);
  const backend = tf.getBackend();
  await tf.setBackend('cpu');
  const single = globalThis.Float32Array;
  if (precision === 'float64') Object.assign(globalThis, { Float32Array: Float64Array });
  try {
    return await body();
  } finally {
    globalThis.Float32Array = single;
    await tf.setBackend(backend);
  }
}

export async function fitWithTfjs(
  tf: Tensorflow,
  modelCase: ModelCase,
  data: TrainingData,
  options: FitOptions,
  precision: ReferencePrecision,
): Promise<Fit> {
  return inJavaScript(tf, precision, async () => {
    const model = (modelCase.reference ?? modelCase.build)(tf);
    completeNormalizations(tf, model);
    try {
      return await fit(tf, model, modelCase, data, options);
    } finally {
      model.dispose();
    }
  });
}

async function fit(
  tf: Tensorflow,
  model: LayersModel,
  { loss = 'meanSquaredError' }: ModelCase,
  data: TrainingData,
  { arithmetic, learningRate, batchSize, epochs, initialWeights, finalWeights }: FitOptions,
): Promise<Fit> {
  setWeights(tf, model, initialWeights);
  model.compile({ optimizer: tf.train.sgd(learningRate), loss: lossOf(tf, loss) });
  const statistics = arithmetic === 'pytorch' ? batchNormUpdates(model, initialWeights) : undefined;
  const stepLosses: number[] = [];
  const onBatchEnd = (_: number, logs?: { loss?: number; size?: number }): Promise<void> => {
    stepLosses.push(logs?.loss ?? Number.NaN);
    statistics?.after(logs?.size ?? 0);
    return Promise.resolve();
  };
  for (const order of epochs) {
    const { inputs, targets } = tensorsOf(tf, model, data, order);
    await model.fit(inputs, targets, {
      batchSize,
      epochs: 1,
      shuffle: false,
      yieldEvery: 'never',
      callbacks: { onBatchEnd },
    });
    tf.dispose([inputs, targets]);
  }
  const weights = model.weights.map(
    (variable, i) => statistics?.expected(i) ?? Float64Array.from(variable.read().dataSync()),
  );
  setWeights(tf, model, finalWeights);
  const { inputs, targets } = tensorsOf(tf, model, data, epochs[0] ?? new Int32Array());
  const outputs = [model.predict(inputs)].flat();
  const predictions = outputs.flatMap((output) => [...output.dataSync()]);
  tf.dispose([inputs, targets, outputs]);
  return { losses: stepLosses, weights, predictions };
}

function setWeights(tf: Tensorflow, model: LayersModel, weights: readonly Float32Array[]): void {
  tf.tidy(() => {
    model.setWeights(
      model.weights.map(({ shape }, i) => tf.tensor(Array.from(weights[i] ?? []), shape as number[])),
    );
  });
}

function tensorsOf(
  tf: Tensorflow,
  model: LayersModel,
  { train }: TrainingData,
  order: Int32Array,
): { inputs: Tensor[]; targets: Tensor[] } {
  const samples = readSamples(train, order);
  if (samples instanceof Promise) throw new Error('The data of a model case are read synchronously.');
  const inputs = train.inputs.map(({ shape }, i) =>
    tf.tensor(Array.from(samples.inputs[i] ?? []), [order.length, ...shape]),
  );
  const targets = train.targets.map(({ shape, classes }, i) => {
    const output = (model.outputs[i]?.shape ?? []).slice(1).map(Number);
    const values = Array.from(samples.targets[i] ?? []);
    if (classes === undefined) return tf.tensor(values, [order.length, ...output]);
    const rows = order.length * elementCount(shape);
    return tf.tidy(() =>
      tf
        .oneHot(tf.tensor1d(values, 'int32').reshape([rows]), classes)
        .toFloat()
        .reshape([order.length, ...output]),
    );
  });
  return { inputs, targets };
}
