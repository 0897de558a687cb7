/** Models of numbers without a structure: dense layers with each activation and merge. */

import type { LayersModel, SymbolicTensor, layers } from '@tensorflow/tfjs';
import type { ModelCase, Tensorflow } from './model-case.js';

type Layer = layers.Layer;

/** Calls a layer. */
export const apply = (layer: Layer, ...inputs: SymbolicTensor[]): SymbolicTensor =>
  layer.apply(inputs.length === 1 ? (inputs[0] as SymbolicTensor) : inputs) as SymbolicTensor;

export const features = 5;

const perceptron = (
  name: string,
  middle: (tf: Tensorflow) => Layer[],
  options: Partial<ModelCase> = {},
): ModelCase => ({
  name,
  build: (tf) =>
    tf.sequential({
      layers: [
        tf.layers.dense({ inputShape: [features], units: 6 }),
        ...middle(tf),
        tf.layers.dense({ units: 3 }),
      ],
    }),
  ...options,
});

type Functional = (tf: Tensorflow) => { inputs: SymbolicTensor[]; outputs: SymbolicTensor[] };
export const functional = (name: string, body: Functional, options: Partial<ModelCase> = {}): ModelCase => ({
  name,
  build: (tf): LayersModel => tf.model(body(tf)),
  ...options,
});

const activationLayers: readonly ModelCase[] = [
  perceptron('numbers: LeakyReLU', ({ layers }) => [layers.leakyReLU({ alpha: 0.2 })]),
  perceptron('numbers: PReLU', ({ layers }) => [layers.prelu()]),
  perceptron('numbers: ELU', ({ layers }) => [layers.elu()]),
  perceptron('numbers: Softmax in the middle', ({ layers }) => [layers.softmax()]),
  perceptron('numbers: bounded ReLU', ({ layers }) => [layers.reLU({ maxValue: 0.5 })]),
  perceptron('numbers: BatchNorm', ({ layers }) => [
    layers.batchNormalization({ momentum: 0.8 }),
    layers.activation({ activation: 'relu' }),
  ]),
  perceptron('numbers: LayerNormalization', ({ layers }) => [layers.layerNormalization()]),
  perceptron('numbers: LayerNormalization without offset', ({ layers }) => [
    layers.layerNormalization({ center: false }),
  ]),
  perceptron('numbers: LayerNormalization without scale', ({ layers }) => [
    layers.layerNormalization({ scale: false }),
  ]),
  perceptron('numbers: scale of the inputs', ({ layers }) => [layers.rescaling({ scale: 0.5, offset: 0.1 })]),
  perceptron('numbers: logistic regression', () => [], { loss: 'binaryCrossEntropy' }),
];

const activationFunctions: readonly ModelCase[] = (
  [
    'elu',
    'gelu',
    'gelu_new',
    'hardSigmoid',
    'mish',
    'relu',
    'relu6',
    'selu',
    'sigmoid',
    'softmax',
    'softplus',
    'softsign',
    'swish',
    'tanh',
  ] as const
).map((activation) =>
  perceptron(`activation: ${activation}`, ({ layers }) => [layers.dense({ units: 4, activation })]),
);

const merges: readonly ModelCase[] = (
  ['add', 'multiply', 'average', 'maximum', 'minimum', 'concatenate'] as const
).map((merge) =>
  functional(`merge: ${merge}`, (tf) => {
    const [a, b, c] = [0, 1, 2].map(() => tf.input({ shape: [features] })) as [
      SymbolicTensor,
      SymbolicTensor,
      SymbolicTensor,
    ];
    const branches = [a, b, c].map((input) => apply(tf.layers.dense({ units: 4 }), input));
    return {
      inputs: [a, b, c],
      outputs: [apply(tf.layers.dense({ units: 2 }), apply(tf.layers[merge](), ...branches))],
    };
  }),
);

const regularized: ModelCase = perceptron(
  'regularizers: L1 and L2 on kernel and bias',
  ({ layers, regularizers }) => [
    layers.dense({
      units: 4,
      kernelRegularizer: regularizers.l1l2({ l1: 0.01, l2: 0.02 }),
      biasRegularizer: regularizers.l2({ l2: 0.05 }),
    }),
  ],
);

const frozen: ModelCase = perceptron('frozen: a layer in the middle', ({ layers }) => [
  layers.dense({ units: 4, activation: 'tanh', trainable: false }),
  layers.leakyReLU(),
]);

const frozenRegularized: ModelCase = perceptron(
  'frozen: the only layer with a regularizer',
  ({ layers, regularizers }) => [
    layers.dense({ units: 4, trainable: false, kernelRegularizer: regularizers.l2({ l2: 0.1 }) }),
  ],
);

export const denseModels: readonly ModelCase[] = [
  ...activationLayers,
  ...activationFunctions,
  ...merges,
  regularized,
  frozen,
  frozenRegularized,
];
