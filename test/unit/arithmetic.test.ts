import type { Tensor } from '@tensorflow/tfjs';
import { afterEach, expect, it } from 'vitest';
import { mergeConfig } from '../../src/cli/options/resolve.js';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import { weightsOf } from '../../src/worker/executor/model-weights.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, batchOf, engineFor, syntheticData } from '../support/in-process.js';

const engine = await engineFor('wasm');
const { tf } = engine;
const data = syntheticData(32);

afterEach(() => tf.disposeVariables());

type Build = NonNullable<Parameters<typeof alone>[1]>;
const withBatchNorm: Build = ({ tf }) =>
  tf.sequential({
    layers: [
      tf.layers.flatten({ inputShape: [8, 8, 1] }),
      tf.layers.dense({ units: 6 }),
      tf.layers.batchNormalization({ momentum: 0.8 }),
      tf.layers.dense({ units: 10 }),
    ],
  });
const plain: Build = ({ tf }) =>
  tf.sequential({
    layers: [tf.layers.flatten({ inputShape: [8, 8, 1] }), tf.layers.dense({ units: 10 })],
  });

const logits = (target: Tensor, prediction: Tensor): Tensor =>
  tf.losses.softmaxCrossEntropy(target, prediction, undefined, 0, tf.Reduction.NONE);

/** Trains the same steps with Lockstep and with tfjs's own training, and returns the weights of both. */
async function both(build: Build, config: RunConfigInput, optimizer: ReturnType<typeof tf.train.sgd>) {
  const merged = mergeConfig([{ source: 'test', values: { ...config, schedule: { kind: 'constant' } } }]);
  const context = await alone(engine, build, { ...merged, batchSize: 16, shards: 1 }, data);
  const own = await build({ tf, seed: 1, loadModel: () => Promise.reject(new Error('not used')) });
  own.setWeights(context.replica.model.getWeights());
  own.compile({ optimizer, loss: logits });
  for (let step = 1; step <= 4; step++) {
    const { inputs, labels, shape } = batchOf(context, context.sampler.plan(step));
    const x = tf.tensor(Float32Array.from(inputs), shape);
    await own.trainOnBatch(x, tf.oneHot(tf.tensor1d(labels, 'int32'), 10));
    trainStep(context, context.sampler.plan(step));
  }
  const values = (tensor: Tensor): Float32Array => tensor.dataSync<'float32'>();
  return {
    mine: weightsOf(context.replica.model).map((weight) => values(weight.read())),
    tfjs: own.getWeights().map(values),
  };
}

function distance(a: Float32Array, b: Float32Array): number {
  const norm = (values: Float32Array): number => Math.hypot(...values);
  return norm(a.map((value, i) => value - (b[i] ?? 0))) / Math.max(norm(b), 1e-6);
}

it("'tfjs' has the running statistics and the weights of tfjs's own training", async () => {
  const config = { arithmetic: 'tfjs', optimizer: { kind: 'sgd', learningRate: 0.05 } } as const;
  const { mine, tfjs } = await both(withBatchNorm, config, tf.train.sgd(0.05));
  expect(mine).toHaveLength(8);
  // The bias before a BatchNormalization (1) has a gradient of rounding errors only.
  for (const i of [0, 2, 3, 4, 5, 6, 7]) {
    const [a, b] = [mine[i] ?? new Float32Array(0), tfjs[i] ?? new Float32Array(0)];
    expect(distance(a, b), `weight ${i}`).toBeLessThan(1e-5);
  }
});

it("'pytorch' has a running variance from the unbiased variance of 16 samples", async () => {
  const config = { arithmetic: 'pytorch', optimizer: { kind: 'sgd', learningRate: 1e-9 } } as const;
  const { mine, tfjs } = await both(withBatchNorm, config, tf.train.sgd(1e-9));
  const layer = await withBatchNorm({ tf, seed: 1, loadModel: () => Promise.reject(new Error('not used')) });
  const variance = layer.weights.findIndex(({ originalName }) => originalName.includes('moving_variance'));
  // Four steps from 1: 0.8^4 of the start remains in both, and the rest differs by the factor 16 / 15.
  const start = 0.8 ** 4;
  const unbiased = tfjs[variance]?.map((value) => start + ((value - start) * 16) / 15) ?? new Float32Array(0);
  expect(distance(mine[variance] ?? new Float32Array(0), unbiased)).toBeLessThan(1e-5);
});

it.each([
  ['adam', { kind: 'adam', learningRate: 0.01 }, () => tf.train.adam(0.01)],
  ['momentum', { kind: 'sgd', learningRate: 0.05, momentum: 0.9 }, () => tf.train.momentum(0.05, 0.9)],
  [
    'Nesterov momentum',
    { kind: 'sgd', learningRate: 0.05, momentum: 0.9, nesterov: true },
    () => tf.train.momentum(0.05, 0.9, true),
  ],
] as const)("'tfjs' has the weights of tfjs's %s", async (_, optimizer, make) => {
  const { mine, tfjs } = await both(plain, { arithmetic: 'tfjs', optimizer }, make() as never);
  for (const [i, values] of mine.entries()) {
    expect(distance(values, tfjs[i] ?? new Float32Array(0))).toBeLessThan(1e-5);
  }
});

it("sets the default of Adam's epsilon, and no epsilon that is given", () => {
  const of = (values: Record<string, unknown>) => mergeConfig([{ source: 'test', values }]).optimizer;
  expect(of({})).toMatchObject({ epsilon: 1e-8 });
  expect(of({ arithmetic: 'tfjs' })).toMatchObject({ kind: 'adam', epsilon: 1e-7 });
  expect(of({ arithmetic: 'tfjs', optimizer: { kind: 'adamw' } })).toMatchObject({ epsilon: 1e-7 });
  expect(of({ arithmetic: 'tfjs', optimizer: { kind: 'adam', epsilon: 1e-3 } })).toMatchObject({
    epsilon: 1e-3,
  });
  expect(of({ arithmetic: 'tfjs', optimizer: { kind: 'sgd' } })).not.toHaveProperty('epsilon');
});
