import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import { afterEach, expect, it } from 'vitest';
import type { RunConfigInput } from '../../src/shared/config/run-config.js';
import type { SampleBuffers, TensorSpec, TrainingData } from '../../src/shared/data/training-data.js';
import { evaluateAlone } from '../../src/worker/evaluation/evaluate.js';
import { weightsOf } from '../../src/worker/executor/model-weights.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, engineFor } from '../support/in-process.js';

const engine = await engineFor('wasm');
const { tf } = engine;
const count = 30;

afterEach(() => tf.disposeVariables());

/** Like iris: four numbers, three classes whose numbers differ; a binary target is whether the class is 1. */
const value = (i: number, p: number): number => Math.sin(i * 3.7 + p) + (i % 3) * (p % 2 === 0 ? 0.8 : -0.6);

function data(target: TensorSpec, label: (i: number) => number): TrainingData {
  const split = {
    count,
    inputs: [{ shape: [4], dtype: 'float32' as const }],
    targets: [target],
    fill: (indices: Int32Array, { inputs: [inputs], targets: [targets] }: SampleBuffers) => {
      for (const [at, i] of indices.entries()) {
        for (let p = 0; p < 4; p++) if (inputs) inputs[at * 4 + p] = value(i, p);
        if (targets) targets[at] = label(i);
      }
    },
  };
  return { name: 'flowers', sha256: '0'.repeat(64), train: split, test: split };
}
const classes = data({ shape: [], dtype: 'int32', classes: 3 }, (i) => i % 3);
const binary = data({ shape: [1], dtype: 'float32' }, (i) => Number(i % 3 === 1));

type Build = (given: { tf: typeof tf }) => LayersModel;
const ending =
  (...last: Parameters<typeof tf.layers.dense>[0][]): Build =>
  ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.dense({ units: 5, inputShape: [4], activation: 'tanh' }),
        ...last.map((one) => tf.layers.dense(one)),
      ],
    });
const softmaxLayer: Build = ({ tf }) => {
  const input = tf.input({ shape: [4] });
  const block = tf.sequential({
    layers: [tf.layers.dense({ units: 3, inputShape: [4] }), tf.layers.softmax()],
  });
  return tf.model({ inputs: input, outputs: block.apply(input) as never });
};
const activationLayer: Build = ({ tf }) =>
  tf.sequential({
    layers: [tf.layers.dense({ units: 3, inputShape: [4] }), tf.layers.activation({ activation: 'softmax' })],
  });
/** The probabilities are also read by another layer, so that the activation can't be left out. */
const readTwice: Build = ({ tf }) => {
  const input = tf.input({ shape: [4] });
  const p = tf.layers.dense({ units: 3, activation: 'softmax', name: 'p' }).apply(input);
  const q = tf.layers.dense({ units: 1, name: 'q' }).apply(p);
  return tf.model({ inputs: input, outputs: [p, q] as never[] });
};

interface Case {
  readonly what: string;
  readonly build: Build;
  readonly from: TrainingData;
  readonly loss: RunConfigInput['loss'];
  readonly tfjsLoss: string;
  readonly note: RegExp;
}
const cases: Case[] = [
  {
    what: 'a dense layer with softmax',
    build: ending({ units: 3, activation: 'softmax' }),
    from: classes,
    loss: 'softmaxCrossEntropy',
    tfjsLoss: 'categoricalCrossentropy',
    note: /softmax is computed within the loss/,
  },
  {
    what: 'a softmax layer in a nested model',
    build: softmaxLayer,
    from: classes,
    loss: 'softmaxCrossEntropy',
    tfjsLoss: 'categoricalCrossentropy',
    note: /softmax is computed within the loss/,
  },
  {
    what: 'an activation layer',
    build: activationLayer,
    from: classes,
    loss: 'softmaxCrossEntropy',
    tfjsLoss: 'categoricalCrossentropy',
    note: /softmax is computed within the loss/,
  },
  {
    what: 'a dense layer with sigmoid',
    build: ending({ units: 1, activation: 'sigmoid' }),
    from: binary,
    loss: 'binaryCrossEntropy',
    tfjsLoss: 'binaryCrossentropy',
    note: /sigmoid is computed within the loss/,
  },
];

it.each(cases)(
  'trains $what with the losses, weights and probabilities of tfjs',
  async ({ build, from, loss, tfjsLoss, note }) => {
    const config = {
      batchSize: 12,
      shards: 3,
      loss,
      optimizer: { kind: 'sgd', learningRate: 0.5 },
      schedule: { kind: 'constant' },
    } as const;
    const context = await alone(engine, build, config, from);
    const { replica, reader, sampler } = context;
    expect(replica.warnings.join()).toMatch(note);
    const own = build({ tf });
    own.setWeights(replica.model.getWeights());
    own.compile({ optimizer: tf.train.sgd(0.5), loss: tfjsLoss });
    for (let step = 1; step <= 6; step++) {
      const batch = sampler.plan(step);
      const { inputs, targets } = reader.samplesAt(batch, { start: 0, end: batch.count });
      const x = tf.tensor2d(Float32Array.from(inputs[0] ?? []), [batch.count, 4]);
      const labels = Int32Array.from(targets[0] ?? []);
      const y: Tensor =
        from === classes
          ? tf.oneHot(tf.tensor1d(labels, 'int32'), 3)
          : tf.tensor2d(Float32Array.from(labels), [batch.count, 1]);
      const expected = (await own.trainOnBatch(x, y)) as number;
      expect(Math.abs(trainStep(context, batch).loss / expected - 1)).toBeLessThan(1e-5);
      if (step < 6) continue;
      const [mine, theirs] = [replica.model.predict(x) as Tensor, own.predict(x) as Tensor];
      const [p, q] = [mine.dataSync(), theirs.dataSync()];
      for (const [i, probability] of q.entries()) expect(p[i]).toBeCloseTo(probability, 5);
    }
    for (const [i, weight] of own.getWeights().entries()) {
      const mine = weightsOf(replica.model)[i]?.read();
      const difference = tf.norm(tf.sub(mine as Tensor, weight)).dataSync()[0] ?? Number.NaN;
      expect(difference).toBeLessThan(1e-5 * (tf.norm(weight).dataSync()[0] ?? 0) + 1e-7);
    }
    expect(JSON.stringify(replica.model.toJSON(null, false))).toMatch(/softmax|Softmax|sigmoid/);
  },
);

it.each([-1, 1])(
  'trains TimeDistributed(softmax) at the end as tfjs does, with the axis %i',
  async (axis) => {
    const steps = 2;
    const tokens: TensorSpec = { shape: [steps], dtype: 'int32', classes: 3 };
    const fill = (indices: Int32Array, { inputs: [inputs], targets: [targets] }: SampleBuffers): void => {
      for (const [at, i] of indices.entries()) {
        for (let p = 0; p < 2 * steps; p++) if (inputs) inputs[at * 2 * steps + p] = value(i, p);
        for (let t = 0; t < steps; t++) if (targets) targets[at * steps + t] = (i + t) % 3;
      }
    };
    const split = {
      count,
      inputs: [{ shape: [steps, 2], dtype: 'float32' as const }],
      targets: [tokens],
      fill,
    };
    const build: Build = () =>
      tf.sequential({
        layers: [
          tf.layers.dense({ units: 3, inputShape: [steps, 2] }),
          tf.layers.timeDistributed({ layer: tf.layers.softmax({ axis }) }),
        ],
      });
    const from = { name: 'tokens', sha256: '0'.repeat(64), train: split, test: split };
    const config = {
      batchSize: count,
      shards: 1,
      loss: 'softmaxCrossEntropy',
      optimizer: { kind: 'sgd', learningRate: 0.5 },
      schedule: { kind: 'constant' },
    } as const;
    const context = await alone(engine, build, config, from);
    const own = build({ tf });
    own.setWeights(context.replica.model.getWeights());
    own.compile({ optimizer: tf.train.sgd(0.5), loss: 'categoricalCrossentropy' });
    for (let step = 1; step <= 3; step++) {
      const batch = context.sampler.plan(step);
      const { inputs, targets } = context.reader.samplesAt(batch, { start: 0, end: count });
      const x = tf.tensor3d(Float32Array.from(inputs[0] ?? []), [count, steps, 2]);
      const y = tf.oneHot(tf.tensor2d(Int32Array.from(targets[0] ?? []), [count, steps], 'int32'), 3);
      const expected = (await own.trainOnBatch(x, y)) as number;
      expect(Math.abs(trainStep(context, batch).loss / expected - 1)).toBeLessThan(1e-5);
    }
  },
);

it('evaluates the loss, the accuracy and the mean error of probabilities as tfjs does', async () => {
  const config = { batchSize: 12, shards: 2, loss: 'binaryCrossEntropy' } as const;
  const named = await alone(
    engine,
    ending({ units: 1, activation: 'sigmoid', name: 'last' }),
    { ...config, metrics: ['accuracy', { kind: 'meanAbsoluteError', output: 'last' }] },
    binary,
  );
  const { replica } = named;
  const result = await evaluateAlone({ replica, executor: named.executor }, 'test');
  const x = tf.tensor2d(
    Float32Array.from({ length: count * 4 }, (_, i) => value(Math.floor(i / 4), i % 4)),
    [count, 4],
  );
  const y = tf.tensor2d(
    Float32Array.from({ length: count }, (_, i) => Number(i % 3 === 1)),
    [count, 1],
  );
  replica.model.compile({ optimizer: 'sgd', loss: 'binaryCrossentropy', metrics: ['accuracy', 'mae'] });
  const expected = (replica.model.evaluate(x, y) as Tensor[]).map((tensor) => tensor.dataSync()[0]);
  expect(result.loss).toBeCloseTo(expected[0] ?? Number.NaN, 5);
  expect(result.metrics['accuracy']).toBeCloseTo(expected[1] ?? Number.NaN, 5);
  expect(result.metrics['meanAbsoluteError']).toBeCloseTo(expected[2] ?? Number.NaN, 5);
});

it('computes the loss from probabilities where another layer reads them', async () => {
  const two = {
    ...classes,
    train: {
      ...classes.train,
      targets: [...classes.train.targets, { shape: [1], dtype: 'float32' as const }],
    },
    test: { ...classes.test, targets: [...classes.test.targets, { shape: [1], dtype: 'float32' as const }] },
  };
  const config = {
    batchSize: count,
    shards: 1,
    loss: { p: 'softmaxCrossEntropy', q: 'meanSquaredError' },
  } as const;
  const context = await alone(engine, readTwice, config, two);
  expect(context.replica.warnings.join()).toMatch(/"p".*computed from the probabilities/);
  const x = tf.tensor2d(
    Float32Array.from({ length: count * 4 }, (_, i) => value(Math.floor(i / 4), i % 4)),
    [count, 4],
  );
  const y = tf.oneHot(
    tf.tensor1d(
      Int32Array.from({ length: count }, (_, i) => i % 3),
      'int32',
    ),
    3,
  );
  const [p, q] = context.replica.model.predict(x) as Tensor[];
  const entropy =
    tf.metrics
      .categoricalCrossentropy(y, p as Tensor)
      .mean()
      .dataSync()[0] ?? Number.NaN;
  const squares = tf.mean(tf.square(q as Tensor)).dataSync()[0] ?? Number.NaN;
  const { loss } = trainStep(context, context.sampler.plan(1));
  expect(Math.abs(loss / (entropy + squares) - 1)).toBeLessThan(1e-5);
});

it.each([
  [
    'a softmax over one unit',
    ending({ units: 1, activation: 'softmax' }),
    binary,
    'binaryCrossEntropy',
    /always 1/,
  ],
  [
    'a sigmoid for classes',
    ending({ units: 3, activation: 'sigmoid' }),
    classes,
    'softmaxCrossEntropy',
    /activation softmax or none/,
  ],
  ['too few units', ending({ units: 2 }), classes, 'softmaxCrossEntropy', /has 3 classes/],
  [
    'a loss for numbers on classes',
    ending({ units: 3 }),
    classes,
    'meanSquaredError',
    /use the loss softmaxCrossEntropy/,
  ],
  [
    'frozen layers only',
    ({ tf: given }: { tf: typeof tf }) => {
      const model = ending({ units: 3 })({ tf: given });
      model.trainable = false;
      return model;
    },
    classes,
    'softmaxCrossEntropy',
    /trainable weight, got none/,
  ],
] as const)('refuses %s', async (_, build, from, loss, message) => {
  await expect(alone(engine, build, { loss }, from)).rejects.toThrow(message);
});

it('warns of units that are never the right answer', async () => {
  const { replica } = await alone(engine, ending({ units: 4 }), {}, classes);
  expect(replica.warnings.join()).toMatch(/1 units are never the right answer/);
});
