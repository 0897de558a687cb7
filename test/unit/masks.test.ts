import type { LayersModel, SymbolicTensor, Tensor, layers } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import { ModelError } from '../../src/shared/errors.js';
import {
  columnData,
  expectTrainsLikeFit,
  regression,
  tensorsOf,
  wave,
  type Column,
} from '../support/against-fit.js';
import { engineFor } from '../support/in-process.js';
import { trainStep } from '../../src/worker/training/train-step.js';

type Tf = ModelContext['tf'];
type Build = (context: ModelContext) => LayersModel;

const steps = 6;
/** Words 1 to 4, then zeros from the position `length` of the sample on. */
const word = (index: number, at: number): number => (at < 1 + (index % 5) ? 1 + ((index * 3 + at) % 4) : 0);
const text: Column = { shape: [steps], dtype: 'int32', value: word };
const sequence: Column = {
  shape: [steps, 2],
  dtype: 'float32',
  value: (index, at) => (word(index, Math.floor(at / 2)) === 0 ? 0 : wave(index, at)),
};
const scalar: Column = { shape: [1], dtype: 'float32', value: wave };
const texts = columnData(24, [text], [scalar]);
const sequences = columnData(24, [sequence], [scalar]);
const textPairs = columnData(24, [text, text], [scalar]);

const embedding = (tf: Tf, more: object = {}) =>
  tf.layers.embedding({ inputDim: 5, outputDim: 3, inputLength: steps, maskZero: true, ...more });
const out = (tf: Tf) => tf.layers.dense({ units: 1 });
const stack =
  (make: (tf: Tf) => layers.Layer[]): Build =>
  ({ tf }) =>
    tf.sequential({ layers: [...make(tf), out(tf)] });
const apply = (layer: layers.Layer, ...inputs: SymbolicTensor[]): SymbolicTensor =>
  layer.apply(inputs.length === 1 ? (inputs[0] as SymbolicTensor) : inputs) as SymbolicTensor;

/** Averages over the time steps that are not masked, and computes the mask of positive first features for later layers. */
function customLayers(tf: Tf) {
  class MaskedMean extends tf.layers.Layer {
    static className = 'MaskedMean';
    constructor() {
      super({});
      this.supportsMasking = true;
    }
    override computeOutputShape([samples, , features]: number[]) {
      return [samples!, features!];
    }
    override call(inputs: Tensor[], { mask }: { mask?: Tensor }) {
      const weights = tf.expandDims(tf.cast(mask!, 'float32'), -1);
      return tf.div(tf.sum(tf.mul(inputs[0]!, weights), 1), tf.add(tf.sum(weights, 1), 1));
    }
    override computeMask(): Tensor {
      return null as unknown as Tensor;
    }
  }
  class PositiveSteps extends tf.layers.Layer {
    static className = 'PositiveSteps';
    constructor() {
      super({});
      this.supportsMasking = true;
    }
    override computeOutputShape(shape: number[]) {
      return shape;
    }
    override call(inputs: Tensor[]) {
      return tf.mul(inputs[0]!, 2);
    }
    override computeMask(inputs: Tensor[]): Tensor {
      return tf.greaterEqual(tf.sum(inputs[0]!, -1), 0);
    }
  }
  return { mean: new MaskedMean(), positive: new PositiveSteps() };
}

const models: Record<string, [typeof texts, Build]> = {
  'an embedding with maskZero before an LSTM': [
    texts,
    stack((tf) => [embedding(tf), tf.layers.lstm({ units: 4 })]),
  ],
  'Masking before a GRU': [
    sequences,
    stack((tf) => [tf.layers.masking({ inputShape: [steps, 2] }), tf.layers.gru({ units: 3 })]),
  ],
  'layers that pass the mask on': [
    texts,
    stack((tf) => [
      embedding(tf),
      tf.layers.dense({ units: 4, useBias: false }),
      tf.layers.batchNormalization(),
      tf.layers.reLU(),
      tf.layers.activation({ activation: 'tanh' }),
      tf.layers.simpleRNN({ units: 3, returnSequences: true }),
      tf.layers.simpleRNN({ units: 3 }),
    ]),
  ],
  'the mask of an earlier layer, with which tfjs calls a layer whose input has none': [
    texts,
    stack((tf) => [
      embedding(tf),
      tf.layers.gru({ units: 3 }),
      tf.layers.repeatVector({ n: steps }),
      tf.layers.gru({ units: 3, goBackwards: true }),
    ]),
  ],
  'wrappers: Bidirectional and TimeDistributed': [
    texts,
    stack((tf) => [
      embedding(tf),
      tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 3, activation: 'tanh' }) }),
      tf.layers.bidirectional({
        layer: tf.layers.lstm({ units: 2, returnSequences: true }),
        mergeMode: 'concat',
      }),
      tf.layers.bidirectional({ layer: tf.layers.gru({ units: 2 }), mergeMode: 'sum' }),
    ]),
  ],
  'TimeDistributed(BatchNormalization) before a recurrent layer': [
    texts,
    stack((tf) => [
      embedding(tf),
      tf.layers.timeDistributed({ layer: tf.layers.batchNormalization() }),
      tf.layers.gru({ units: 2 }),
    ]),
  ],
  'Flatten after a mask': [texts, stack((tf) => [embedding(tf), tf.layers.flatten()])],
  'a concatenation of two texts, along the features': [
    textPairs,
    ({ tf }) => {
      const inputs = [tf.input({ shape: [steps] }), tf.input({ shape: [steps] })];
      const [left, right] = inputs.map((input) => apply(embedding(tf), input)) as [
        SymbolicTensor,
        SymbolicTensor,
      ];
      const joined = apply(tf.layers.concatenate(), left, right);
      return tf.model({ inputs, outputs: apply(out(tf), apply(tf.layers.lstm({ units: 3 }), joined)) });
    },
  ],
  'a concatenation of two texts, along the time': [
    textPairs,
    ({ tf }) => {
      const inputs = [tf.input({ shape: [steps] }), tf.input({ shape: [steps] })];
      const [left, right] = inputs.map((input) => apply(embedding(tf), input)) as [
        SymbolicTensor,
        SymbolicTensor,
      ];
      const joined = apply(tf.layers.concatenate({ axis: 1 }), left, right);
      return tf.model({ inputs, outputs: apply(out(tf), apply(tf.layers.lstm({ units: 3 }), joined)) });
    },
  ],
  'a sum of masked values that no layer reads the mask of': [
    texts,
    ({ tf }) => {
      const input = tf.input({ shape: [steps] });
      const sum = apply(tf.layers.add(), apply(embedding(tf), input), apply(embedding(tf), input));
      return tf.model({
        inputs: input,
        outputs: apply(out(tf), apply(tf.layers.globalAveragePooling1d(), sum)),
      });
    },
  ],
  'a nested model, called with a mask that its inputs do not have': [
    texts,
    ({ tf }) => {
      const encoder = tf.sequential({
        layers: [
          tf.layers.dense({ units: 3, activation: 'tanh', inputShape: [steps, 3] }),
          tf.layers.lstm({ units: 3, returnSequences: true }),
        ],
      });
      return tf.sequential({ layers: [embedding(tf), encoder, tf.layers.gru({ units: 3 }), out(tf)] });
    },
  ],
  'a mask that appears in a nested model': [
    texts,
    ({ tf }) => {
      const encoder = tf.sequential({
        layers: [embedding(tf), tf.layers.lstm({ units: 3, returnSequences: true })],
      });
      return tf.sequential({ layers: [encoder, tf.layers.gru({ units: 3 }), out(tf)] });
    },
  ],
  'masks of custom layers': [
    sequences,
    ({ tf }) => {
      const { mean, positive } = customLayers(tf);
      const first = tf.layers.dense({ units: 3, inputShape: [steps, 2] });
      return tf.sequential({
        layers: [first, positive, tf.layers.lstm({ units: 3, returnSequences: true }), mean, out(tf)],
      });
    },
  ],
  'softmax over the steps that are not masked': [
    texts,
    ({ tf }) => {
      const input = tf.input({ shape: [steps] });
      const embedded = apply(embedding(tf), input);
      const scores = apply(tf.layers.dense({ units: 1 }), embedded);
      // tfjs's Softmax subtracts 1e9 where the mask of the scores' shape is 0.
      const weights = apply(
        tf.layers.softmax({ axis: 1 }),
        apply(tf.layers.reshape({ targetShape: [steps] }), scores),
      );
      const context = apply(tf.layers.dot({ axes: 1 }), weights, embedded);
      return tf.model({ inputs: input, outputs: apply(out(tf), context) });
    },
  ],
};

describe.each(['wasm', 'tensorflow'] as const)('masks on %s', (choice) => {
  it.each(Object.entries(models))(
    'train as in fit, and infer as in predict: %s',
    async (_, [data, build]) => {
      const engine = await engineFor(choice);
      const batchStatistics = (name: string): boolean => !name.includes('moving_variance');
      await expectTrainsLikeFit(engine, build, data, { only: batchStatistics });

      const context = await regression(engine, build, data, { shards: 3 });
      const { executor, replica } = context;
      trainStep(context, context.sampler.plan(1));
      const { inputs } = tensorsOf(context, 2);
      const expected = (replica.model.predict(inputs) as Tensor).dataSync();
      const step = {
        training: false,
        step: 0,
        shards: [{ local: 0, start: 0, count: 8 }],
        gradient: () => undefined,
      };
      const found = engine.tf.tidy(() =>
        executor
          .infer(
            step,
            inputs.map((input) => [input.clone()]),
          )[0]![0]!
          .dataSync(),
      );
      expect(found).toHaveLength(8);
      for (const [i, value] of expected.entries()) expect(found[i]).toBeCloseTo(value, 5);
    },
  );
});

describe('masks', () => {
  it('change the result: without maskZero the same model has another loss', async () => {
    const engine = await engineFor('wasm');
    const lossOf = async (maskZero: boolean): Promise<number> => {
      const build = stack((tf) => [embedding(tf, { maskZero }), tf.layers.lstm({ units: 4 })]);
      const context = await regression(engine, build, texts);
      return trainStep(context, context.sampler.plan(1)).loss;
    };
    expect(Math.abs((await lossOf(true)) - (await lossOf(false)))).toBeGreaterThan(1e-3);
  });

  it('are named where the layer that tfjs calls with one cannot use it', async () => {
    const engine = await engineFor('wasm');
    const build = stack((tf) => [
      embedding(tf),
      tf.layers.lstm({ units: 4 }),
      tf.layers.softmax({ name: 'classes' }),
    ]);
    const context = await regression(engine, build, texts);
    const step = () => trainStep(context, context.sampler.plan(1));
    expect(step).toThrow(/"classes" \(Softmax\).*mask of the shape \[8, 6\]/);
  });

  it('are refused by name where tfjs mixes the samples: a merge before a recurrent layer', async () => {
    const engine = await engineFor('wasm');
    const build: Build = ({ tf }) => {
      const input = tf.input({ shape: [steps] });
      const merge = tf.layers.add({ name: 'sum' });
      const sum = apply(merge, apply(embedding(tf), input), apply(embedding(tf), input));
      const read = tf.layers.lstm({ units: 2, name: 'reader' });
      return tf.model({ inputs: input, outputs: apply(out(tf), apply(read, sum)) });
    };
    const context = await regression(engine, build, texts);
    const step = () => trainStep(context, context.sampler.plan(1));
    expect(step).toThrow(ModelError);
    expect(step).toThrow(/"reader" \(LSTM\).*"sum" \(Add\)/);
  });
});
