import type { LayersModel, SymbolicTensor, layers } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import { disposeModel } from '../../src/worker/executor/model-weights.js';
import type { StepContext } from '../../src/worker/executor/layer-op.js';
import { columnData, expectTrainsLikeFit, regression, wave, type Column } from '../support/against-fit.js';
import { topologyOf } from '../../src/worker/model-files/topology.js';
import { engineFor } from '../support/in-process.js';

type Tf = ModelContext['tf'];

const vector = (size: number): Column => ({ shape: [size], dtype: 'float32', value: wave });
const sequence: Column = { shape: [4, 3], dtype: 'float32', value: wave };
const scalar = vector(1);
const rows = columnData(24, [vector(6)], [scalar]);
const sequences = columnData(24, [sequence], [scalar]);
const pairs = columnData(24, [vector(6), vector(6)], [scalar]);
const twoTargets = columnData(24, [sequence], [scalar, vector(3)]);

const apply = (layer: layers.Layer, ...inputs: SymbolicTensor[]): SymbolicTensor =>
  layer.apply(inputs.length === 1 ? (inputs[0] as SymbolicTensor) : inputs) as SymbolicTensor;

const block = (tf: Tf): LayersModel =>
  tf.sequential({
    layers: [tf.layers.dense({ units: 6, inputShape: [6], activation: 'tanh' }), tf.layers.leakyReLU()],
  });

const models = {
  'a merge of a value with itself': [
    rows,
    ({ tf }) => {
      const input = tf.input({ shape: [6] });
      const hidden = apply(tf.layers.dense({ units: 4, activation: 'tanh' }), input);
      const sum = apply(tf.layers.add(), hidden, hidden);
      const product = apply(tf.layers.multiply(), sum, hidden);
      return tf.model({ inputs: input, outputs: apply(tf.layers.dense({ units: 1 }), product) });
    },
  ],
  'a shared layer and a shared nested model, as in a siamese network': [
    pairs,
    ({ tf }) => {
      const [left, right] = [tf.input({ shape: [6] }), tf.input({ shape: [6] })];
      const shared = block(tf);
      const ends = tf.layers.dense({ units: 3, activation: 'elu' });
      const branches = [left, right].map((input) => apply(ends, apply(shared, input)));
      const joined = apply(tf.layers.concatenate(), ...branches);
      return tf.model({ inputs: [left, right], outputs: apply(tf.layers.dense({ units: 1 }), joined) });
    },
  ],
  'a nested model that is called on its own output': [
    rows,
    ({ tf }) => {
      const input = tf.input({ shape: [6] });
      const shared = block(tf);
      const twice = apply(shared, apply(shared, input));
      return tf.model({ inputs: input, outputs: apply(tf.layers.dense({ units: 1 }), twice) });
    },
  ],
  'states of a recurrent layer that start another, of several outputs': [
    twoTargets,
    ({ tf }) => {
      const input = tf.input({ shape: [4, 3] });
      const encoder = tf.layers.lstm({ units: 3, returnState: true });
      const [, h, c] = encoder.apply(input) as SymbolicTensor[];
      const decoder = tf.layers.lstm({ units: 3 });
      const decoded = decoder.apply([input, h, c] as SymbolicTensor[]) as SymbolicTensor;
      const outputs = [
        apply(tf.layers.dense({ units: 1 }), decoded),
        apply(tf.layers.dense({ units: 3 }), decoded),
      ];
      return tf.model({ inputs: input, outputs });
    },
  ],
  'a dense layer that is shared by rows and sequences': [
    sequences,
    ({ tf }) => {
      const input = tf.input({ shape: [4, 3] });
      const shared = tf.layers.dense({ units: 3 });
      const pooled = apply(tf.layers.globalAveragePooling1d(), apply(shared, input));
      return tf.model({
        inputs: input,
        outputs: apply(tf.layers.dense({ units: 1 }), apply(shared, pooled)),
      });
    },
  ],
  'regularizers of layers that are called twice, in a nested model too': [
    pairs,
    ({ tf }) => {
      const penalty = { kernelRegularizer: tf.regularizers.l2({ l2: 0.3 }) };
      const inputs = [tf.input({ shape: [6] }), tf.input({ shape: [6] })];
      const first = tf.layers.dense({ units: 4, activation: 'tanh', ...penalty });
      const nested = tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [4], ...penalty })] });
      const branches = inputs.map((input) => apply(nested, apply(first, input)));
      const joined = apply(tf.layers.add(), ...branches);
      return tf.model({ inputs, outputs: apply(tf.layers.dense({ units: 1, ...penalty }), joined) });
    },
  ],
} satisfies Record<string, [typeof rows, (context: ModelContext) => LayersModel]>;

describe('a recorded layer', () => {
  it.each(Object.entries(models))('trains as in tfjs: %s', async (_, [data, build]) => {
    await expectTrainsLikeFit(await engineFor('wasm'), build, data);
  });

  it('is shown with the shape of each call, also if the shapes of its calls differ', async () => {
    const { tf } = await engineFor('wasm');
    const [, build] = models['a dense layer that is shared by rows and sequences'];
    const model = build({ tf } as ModelContext);
    const dense = topologyOf(model).filter(({ kind }) => kind === 'Dense');
    expect(dense.map(({ shape }) => shape)).toEqual([
      [null, 4, 3],
      [null, 3],
      [null, 1],
    ]);
  });

  it('is freed with its model, also if it is used both by itself and in TimeDistributed', async () => {
    const { tf } = await engineFor('wasm');
    const before = tf.memory().numTensors;
    const input = tf.input({ shape: [4, 6] });
    const shared = block(tf);
    const steps = apply(tf.layers.timeDistributed({ layer: shared }), input);
    const model = tf.model({
      inputs: input,
      outputs: apply(shared, apply(tf.layers.globalMaxPooling1d(), steps)),
    });
    expect(tf.memory().numTensors).toBeGreaterThan(before);
    disposeModel(model);
    expect(tf.memory().numTensors).toBe(before);
    disposeModel(model);
  });

  it('passes a step without samples: the values are empty and there is no gradient', async () => {
    const engine = await engineFor('wasm');
    const [data, build] = models['states of a recurrent layer that start another, of several outputs'];
    const { executor } = await regression(engine, build, data);
    const { tf } = engine;
    const step: StepContext = {
      training: true,
      step: 1,
      shards: [],
      gradient: () => expect.unreachable('a shard without samples has no gradient'),
    };
    tf.tidy(() => {
      executor.train(step, [[]], (outputs) => {
        expect(outputs).toEqual([[], []]);
        return [[], []];
      });
      expect(executor.infer({ ...step, training: false }, [[]])).toEqual([[], []]);
    });
  });
});
