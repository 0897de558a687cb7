/** Models of several inputs and outputs, of shared and nested parts, and with attention in a custom layer. */

import type { Sequential, SymbolicTensor, Tensor, layers } from '@tensorflow/tfjs';
import { apply, features, functional } from './dense-models.js';
import type { ModelCase, Tensorflow } from './model-case.js';

type Layer = layers.Layer;

const dotProducts: readonly ModelCase[] = [
  functional(
    'merge: dot, as in a recommender',
    (tf) => {
      const [user, item] = [tf.input({ shape: [1] }), tf.input({ shape: [1] })];
      const factors = (input: SymbolicTensor, inputDim: number): SymbolicTensor =>
        apply(tf.layers.flatten(), apply(tf.layers.embedding({ inputDim, outputDim: 4 }), input));
      return {
        inputs: [user, item],
        outputs: [apply(tf.layers.dot({ axes: 1 }), factors(user, 7), factors(item, 9))],
      };
    },
    { vocabulary: [7, 9] },
  ),
  functional('merge: normalized dot', (tf) => {
    const [a, b] = [tf.input({ shape: [features] }), tf.input({ shape: [features] })];
    const [x, y] = [a, b].map((input) => apply(tf.layers.dense({ units: 4 }), input)) as [
      SymbolicTensor,
      SymbolicTensor,
    ];
    return { inputs: [a, b], outputs: [apply(tf.layers.dot({ axes: -1, normalize: true }), x, y)] };
  }),
];

const siamese = functional(
  'siamese: one tower for two inputs',
  (tf) => {
    const [a, b] = [tf.input({ shape: [features] }), tf.input({ shape: [features] })];
    const tower = tf.sequential({
      layers: [
        tf.layers.dense({ inputShape: [features], units: 4, activation: 'tanh' }),
        tf.layers.dense({ units: 3 }),
      ],
    });
    const both = [apply(tower, a), apply(tower, b)] as const;
    const x = apply(tf.layers.concatenate(), ...both, apply(tf.layers.multiply(), ...both));
    return { inputs: [a, b], outputs: [apply(tf.layers.dense({ units: 1 }), x)] };
  },
  { loss: 'binaryCrossEntropy' },
);

const sharedLayer = functional('shared: one dense layer three times in a row', (tf) => {
  const input = tf.input({ shape: [features] });
  const layer = tf.layers.dense({ units: features, activation: 'tanh' });
  return { inputs: [input], outputs: [apply(layer, apply(layer, apply(layer, input)))] };
});

const multiTask = functional('several outputs: two heads on one trunk', (tf) => {
  const input = tf.input({ shape: [features] });
  const trunk = apply(tf.layers.dense({ units: 6, activation: 'relu' }), input);
  const one = apply(tf.layers.dense({ units: 2 }), trunk);
  const two = apply(tf.layers.dense({ units: 3 }), apply(tf.layers.leakyReLU(), trunk));
  return { inputs: [input], outputs: [one, two] };
});

const innerOutput = functional('several outputs: an inner value is an output too', (tf) => {
  const input = tf.input({ shape: [features] });
  const inner = apply(tf.layers.dense({ units: 4, activation: 'sigmoid' }), input);
  return { inputs: [input], outputs: [inner, apply(tf.layers.dense({ units: 2 }), inner)] };
});

const mixedInputs = functional(
  'several inputs: numbers, a text and a picture',
  (tf) => {
    const [numbers, words, picture] = [
      tf.input({ shape: [features] }),
      tf.input({ shape: [4] }),
      tf.input({ shape: [4, 4, 1] }),
    ];
    const read = apply(
      tf.layers.lstm({ units: 3 }),
      apply(tf.layers.embedding({ inputDim: 8, outputDim: 3 }), words),
    );
    const seen = apply(tf.layers.flatten(), apply(tf.layers.conv2d({ filters: 2, kernelSize: 3 }), picture));
    const joined = apply(tf.layers.concatenate(), numbers, read, seen);
    return { inputs: [numbers, words, picture], outputs: [apply(tf.layers.dense({ units: 2 }), joined)] };
  },
  { vocabulary: [undefined, 8, undefined] },
);

const block = (tf: Tensorflow, units: number): Sequential =>
  tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [features], units, name: 'fc' }),
      tf.layers.batchNormalization({ name: 'bn' }),
      tf.layers.elu(),
      tf.layers.dense({ units: features }),
    ],
  });

const nested = functional('nested: two blocks with layers of equal names', (tf) => {
  const input = tf.input({ shape: [features] });
  return { inputs: [input], outputs: [apply(block(tf, 3), apply(block(tf, 4), input))] };
});

const nestedTwice = functional('nested: one block twice', (tf) => {
  const input = tf.input({ shape: [features] });
  const twice = tf.sequential({
    layers: [
      tf.layers.dense({ inputShape: [features], units: 4, activation: 'relu' }),
      tf.layers.dense({ units: features }),
    ],
  });
  return { inputs: [input], outputs: [apply(tf.layers.add(), apply(twice, apply(twice, input)), input)] };
});

const nestedInSequential: ModelCase = {
  name: 'nested: a model in a sequential model in a model',
  build: (tf) => {
    const input = tf.input({ shape: [features] });
    const inner = tf.model({
      inputs: input,
      outputs: apply(tf.layers.dense({ units: 4 }), apply(tf.layers.leakyReLU(), input)),
    });
    const middle = tf.sequential({
      layers: [tf.layers.dense({ inputShape: [features], units: features }), inner],
    });
    return tf.sequential({ layers: [middle, tf.layers.dense({ units: 2 })] });
  },
};

/** Scaled dot-product attention over [batch, time, features], as a layer that users write. */
const attention: ModelCase = {
  name: 'custom: attention',
  vocabulary: [9],
  build: (tf) => {
    class Attention extends tf.layers.Layer {
      static className = 'Attention';
      #query: ReturnType<Layer['addWeight']> | undefined;

      override build(shape: number[]): void {
        const size = shape.at(-1) ?? 1;
        this.#query = this.addWeight('query', [size, size], 'float32', tf.initializers.glorotUniform({}));
        this.built = true;
      }

      override computeOutputShape(shape: number[]): number[] {
        return shape;
      }

      override call(inputs: Tensor | Tensor[]): Tensor {
        return tf.tidy(() => {
          const x = [inputs].flat()[0] as Tensor;
          const [batch = 0, time = 0, size = 0] = x.shape;
          const query = x.reshape([batch * time, size]).matMul(this.#query?.read() as Tensor);
          const scores = tf
            .matMul(query.reshape([batch, time, size]), x, false, true)
            .mul(1 / Math.sqrt(size));
          return tf.matMul(tf.softmax(scores), x);
        });
      }

      override getClassName(): string {
        return 'Attention';
      }
    }
    return tf.sequential({
      layers: [
        tf.layers.embedding({ inputDim: 9, outputDim: 4, inputLength: 5 }),
        new Attention({}),
        tf.layers.globalAveragePooling1d({}),
        tf.layers.dense({ units: 2 }),
      ],
    });
  },
};

const dotAttention = functional(
  'attention: from Dot, Activation and Dot',
  (tf) => {
    const words = tf.input({ shape: [5] });
    const x = apply(tf.layers.embedding({ inputDim: 9, outputDim: 4, inputLength: 5 }), words);
    const query = apply(tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 4 }) }), x);
    const scores = apply(
      tf.layers.activation({ activation: 'softmax' }),
      apply(tf.layers.dot({ axes: [2, 2] }), query, x),
    );
    const context = apply(tf.layers.dot({ axes: [2, 1] }), scores, x);
    return {
      inputs: [words],
      outputs: [apply(tf.layers.dense({ units: 2 }), apply(tf.layers.flatten(), context))],
    };
  },
  { vocabulary: [9] },
);

const transformer = functional('attention: a transformer block', (tf) => {
  const input = tf.input({ shape: [4, 4] });
  const dense = (units: number, x: SymbolicTensor): SymbolicTensor => apply(tf.layers.dense({ units }), x);
  const scores = apply(tf.layers.dot({ axes: [2, 2] }), dense(4, input), dense(4, input));
  const mixed = apply(
    tf.layers.dot({ axes: [2, 1] }),
    apply(tf.layers.activation({ activation: 'softmax' }), scores),
    dense(4, input),
  );
  const x = apply(tf.layers.layerNormalization(), apply(tf.layers.add(), input, mixed));
  const fed = dense(4, apply(tf.layers.activation({ activation: 'gelu' }), dense(8, x)));
  const y = apply(tf.layers.layerNormalization(), apply(tf.layers.add(), x, fed));
  return {
    inputs: [input],
    outputs: [apply(tf.layers.dense({ units: 2 }), apply(tf.layers.globalAveragePooling1d({}), y))],
  };
});

export const composedModels: readonly ModelCase[] = [
  ...dotProducts,
  siamese,
  sharedLayer,
  multiTask,
  innerOutput,
  mixedInputs,
  nested,
  nestedTwice,
  nestedInSequential,
  attention,
  dotAttention,
  transformer,
];
