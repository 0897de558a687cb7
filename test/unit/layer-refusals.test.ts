import type { LayersModel, Tensor, layers } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import { ModelError } from '../../src/shared/errors.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { behindDense, features, regression, sequences, time } from '../support/against-fit.js';
import { engineFor } from '../support/in-process.js';

type Tf = ModelContext['tf'];
type Build = (context: ModelContext) => LayersModel;

const rate = 0.4;

/** A custom layer with the given call. */
function custom(tf: Tf, name: string, call: (x: Tensor) => Tensor, inputShape?: number[]): layers.Layer {
  class Custom extends tf.layers.Layer {
    static className = name;
    override computeOutputShape(shape: number[]): number[] {
      return shape;
    }
    override call(inputs: Tensor[]): Tensor {
      return call(inputs[0]!);
    }
  }
  return new Custom({ name: name.toLowerCase(), ...(inputShape && { inputShape }) });
}

const forbidden: Record<string, [(tf: Tf) => layers.Layer, RegExp]> = {
  'Math.random': [
    (tf) => custom(tf, 'Noisy', (x) => tf.mul(x, Math.random())),
    /"noisy" \(Noisy\) calls Math\.random/,
  ],
  'tf.randomNormal with a seed': [
    (tf) => custom(tf, 'Sampling', (x) => tf.add(x, tf.randomNormal(x.shape, 0, 1, 'float32', 4))),
    /"sampling" \(Sampling\) calls tf\.randomNormal/,
  ],
  'tf.dropout with a seed': [
    (tf) => custom(tf, 'Drop', (x) => tf.dropout(x, 0.5, undefined, 4)),
    /"drop" \(Drop\) calls tf\.dropout/,
  ],
  'an initializer with a seed': [
    (tf) => {
      const initializer = tf.initializers.randomUniform({ seed: 1 });
      return custom(tf, 'Init', (x) => tf.add(x, initializer.apply([time, features])));
    },
    /"init" \(Init\) calls tf\.randomUniform/,
  ],
  'tf.multinomial with a seed': [
    (tf) => custom(tf, 'Choice', (x) => tf.add(x, tf.mean(tf.multinomial(tf.tensor1d([0.5, 0.5]), 3, 9)))),
    /"choice" \(Choice\) calls tf\.multinomial/,
  ],
  'a variable that it writes': [
    (tf) => {
      const state = tf.variable(tf.scalar(1));
      return custom(tf, 'Counter', (x) => {
        state.assign(tf.add(state, 1));
        return tf.mul(x, 2);
      });
    },
    /"counter" \(Counter\) writes the variable/,
  ],
  'state outside of tfjs': [
    (tf) => {
      let calls = 0;
      return custom(tf, 'Growing', (x) => tf.mul(x, ++calls));
    },
    /"growing" \(Growing\).*equal results of two calls/,
  ],
};

describe('a layer whose result would depend on the division into shards', () => {
  it.each(Object.entries(forbidden))(
    'is refused by name in the first step: %s',
    async (_, [make, message]) => {
      const engine = await engineFor('wasm');
      const context = await regression(engine, behindDense(make), sequences);
      const values = () => context.replica.model.getWeights().map((weight) => weight.dataSync().join());
      const before = values();
      const step = () => trainStep(context, context.sampler.plan(1));
      expect(step).toThrow(ModelError);
      expect(step).toThrow(message);
      expect(values()).toEqual(before);
    },
  );

  it('is named where its output has another size than it declares', async () => {
    const engine = await engineFor('wasm');
    const build = behindDense((tf) =>
      custom(tf, 'Shorter', (x) => tf.slice(x, [0, 0, 0], [-1, time - 1, -1])),
    );
    const context = await regression(engine, build, sequences);
    const step = () => trainStep(context, context.sampler.plan(1));
    expect(step).toThrow(ModelError);
    expect(step).toThrow(/Layer "shorter" \(Shorter\): expected .*\[8, 4, 3\].*got \[8, 3, 3\]/);
  });

  it('is named where tfjs fails to compute it', async () => {
    const engine = await engineFor('wasm');
    const build: Build = ({ tf }) =>
      tf.sequential({
        layers: [
          custom(tf, 'Turned', (x) => tf.transpose(x, [0, 2, 1]), [time, features]),
          tf.layers.layerNormalization({ name: 'norm' }),
          tf.layers.flatten(),
          tf.layers.dense({ units: 1 }),
        ],
      });
    const context = await regression(engine, build, sequences);
    const step = () => trainStep(context, context.sampler.plan(1));
    expect(step).toThrow(ModelError);
    expect(step).toThrow(/Layer "norm" \(LayerNormalization\): its call failed in tfjs with "/);
  });

  const refused: Record<string, [(tf: Tf) => layers.Layer, RegExp]> = {
    'a fixed number of samples in a noiseShape': [
      (tf) => tf.layers.dropout({ rate, noiseShape: [8, time, 1], name: 'drop' }),
      /"drop" \(Dropout\).*noiseShape/,
    ],
    'a BatchNormalization that is a part of a custom layer': [
      (tf) =>
        Object.assign(
          custom(tf, 'Normed', (x) => x),
          { norm: tf.layers.batchNormalization({ name: 'inner' }) },
        ),
      /"normed" \(Normed\).*"inner" is a part of it.*statistics of its own/,
    ],
    'a dropoutFunc': [
      (tf) =>
        tf.layers.lstm({
          units: 2,
          returnSequences: true,
          dropout: 0.1,
          dropoutFunc: (x: Tensor) => x,
          name: 'memory',
        }),
      /"memory" \(LSTM\).*dropoutFunc/,
    ],
  };
  it.each(Object.entries(refused))(
    'is refused by name before the first step: %s',
    async (_, [make, message]) => {
      const engine = await engineFor('wasm');
      await expect(regression(engine, behindDense(make), sequences)).rejects.toThrow(message);
    },
  );
});
