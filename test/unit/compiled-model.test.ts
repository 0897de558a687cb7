import type { LayersModel, ModelCompileArgs } from '@tensorflow/tfjs';
import { afterEach, expect, it } from 'vitest';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, batchOf, engineFor, syntheticData } from '../support/in-process.js';

const engine = await engineFor('wasm');
const { tf } = engine;
const data = syntheticData(40, 3);

afterEach(() => tf.disposeVariables());

type Compile = () => ModelCompileArgs;
const model = (activation: 'softmax' | 'linear', compile?: Compile) => (): LayersModel => {
  const built = tf.sequential({
    layers: [
      tf.layers.flatten({ inputShape: [8, 8, 1] }),
      tf.layers.dense({ units: 4, activation: 'tanh' }),
      tf.layers.dense({ units: 3, activation, name: 'last' }),
    ],
  });
  if (compile) built.compile(compile());
  return built;
};
const of = async (
  compile: Compile,
  config: RunConfigInput = {},
  activation: 'softmax' | 'linear' = 'softmax',
) => (await alone(engine, model(activation, compile), { batchSize: 16, shards: 2, ...config }, data)).replica;

it.each<[string, Compile]>([
  ['adam by name', () => ({ optimizer: 'adam', loss: 'categoricalCrossentropy', metrics: ['acc'] })],
  [
    'adam with a rate',
    () => ({ optimizer: tf.train.adam(0.02, 0.8, 0.99), loss: 'categoricalCrossentropy' }),
  ],
  ['sgd by name', () => ({ optimizer: 'sgd', loss: 'categoricalCrossentropy' })],
  [
    "Nesterov's momentum",
    () => ({ optimizer: tf.train.momentum(0.1, 0.9, true), loss: ['categoricalCrossentropy'] }),
  ],
  ['rmsprop by name', () => ({ optimizer: 'rmsprop', loss: 'categoricalCrossentropy' })],
  [
    'rmsprop with momentum',
    () => ({ optimizer: tf.train.rmsprop(0.01, 0.8, 0.5, 1e-3), loss: 'categoricalCrossentropy' }),
  ],
  ['adagrad by name', () => ({ optimizer: 'adagrad', loss: 'categoricalCrossentropy' })],
  ['adadelta by name', () => ({ optimizer: 'adadelta', loss: 'categoricalCrossentropy' })],
  ['adamax by name', () => ({ optimizer: 'adamax', loss: 'categoricalCrossentropy' })],
  ['a loss by output', () => ({ optimizer: tf.train.sgd(0.3), loss: { last: 'categoricalCrossentropy' } })],
])('trains with %s as tfjs does after the same compile', async (_, compile) => {
  const context = await alone(engine, model('softmax', compile), { batchSize: 16, shards: 2 }, data);
  const own = model('softmax')();
  own.setWeights(context.replica.model.getWeights());
  own.compile({ ...compile(), metrics: [] });
  // Two whole epochs; the last batch of each has 8 samples.
  for (let step = 1; step <= 6; step++) {
    const { inputs, labels, shape } = batchOf(context, context.sampler.plan(step));
    const x = tf.tensor(Float32Array.from(inputs), shape);
    const expected = (await own.trainOnBatch(x, tf.oneHot(tf.tensor1d(labels, 'int32'), 3))) as number;
    const { loss } = trainStep(context, context.sampler.plan(step));
    expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-5);
  }
});

it('takes the optimizer, the loss and the metrics over, and says so', async () => {
  const replica = await of(() => ({
    optimizer: 'adam',
    loss: 'sparseCategoricalCrossentropy',
    metrics: ['accuracy', tf.metrics.cosineProximity],
  }));
  const { optimizer, loss, metrics, schedule } = replica.config;
  expect(optimizer).toMatchObject({
    kind: 'adam',
    learningRate: 0.001,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-7,
  });
  expect([loss, metrics, schedule.kind]).toEqual(['softmaxCrossEntropy', [{ kind: 'accuracy' }], 'constant']);
  expect(replica.warnings.join('\n')).toMatch(
    /compile is taken over: optimizer .*adam.*loss .*softmaxCrossEntropy/,
  );
  expect(replica.warnings.join('\n')).toMatch(/metric a function has no counterpart/);
});

it("lets the definition's own fields outrank compile, and says so", async () => {
  const own = { optimizer: { kind: 'adamw', learningRate: 0.5 }, schedule: { kind: 'cosine' } } as const;
  const replica = await of(() => ({ optimizer: 'sgd', loss: 'categoricalCrossentropy' }), own);
  expect(replica.config.optimizer).toMatchObject({ kind: 'adamw', learningRate: 0.5 });
  expect(replica.config.schedule.kind).toBe('cosine');
  expect(replica.warnings.join('\n')).toMatch(/own optimizer outranks it/);
});

it('gives --set precedence over compile, for a part of a choice as well', async () => {
  const compile = () => ({ optimizer: tf.train.momentum(0.1, 0.9), loss: 'categoricalCrossentropy' });
  const replica = await of(compile, { set: { 'optimizer.learningRate': 0.25, 'schedule.kind': 'cosine' } });
  expect(replica.config.optimizer).toMatchObject({ kind: 'sgd', learningRate: 0.25, momentum: 0.9 });
  expect(replica.warnings.join('\n')).toMatch(/taken over: optimizer .*"learningRate":0.25/);
  await expect(of(compile, { set: { 'optimizer.beta1': 0.5 } })).rejects.toThrow(
    /model.compile with --set optimizer.beta1: optimizer/,
  );
});

it("does not look for counterparts of metrics that the definition's own outrank", async () => {
  const replica = await of(
    () => ({ optimizer: 'sgd', loss: 'categoricalCrossentropy', metrics: [tf.metrics.cosineProximity] }),
    { metrics: ['accuracy'] },
  );
  expect(replica.config.metrics).toEqual(['accuracy']);
  expect(replica.warnings.join('\n')).toMatch(/definition's own metrics outranks it/);
  expect(replica.warnings.join('\n')).not.toMatch(/no counterpart/);
});

it('says that a loss of probabilities takes an output without an activation as logits', async () => {
  const replica = await of(() => ({ optimizer: 'sgd', loss: 'categoricalCrossentropy' }), {}, 'linear');
  expect(replica.warnings.join('\n')).toMatch(
    /categoricalCrossentropy takes probabilities.*no softmax.*logits/,
  );
});

it.each<[string, Compile, RegExp]>([
  [
    'the decay of adamax',
    () => ({ optimizer: tf.train.adamax(0.01, 0.9, 0.99, 1e-7, 0.1), loss: 'categoricalCrossentropy' }),
    /expected an adamax without decay, got decay 0\.1/,
  ],
  [
    'a function',
    () => ({ optimizer: 'sgd', loss: (a, b) => tf.sub(a, b) }),
    /the loss a function has no counterpart/,
  ],
])('refuses %s by name', async (_, compile, message) => {
  await expect(of(compile)).rejects.toThrow(message);
});
