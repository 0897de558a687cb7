/** Text and time-series models: recurrent layers, embeddings, masks and 1D convolutions. */

import type { SymbolicTensor } from '@tensorflow/tfjs';
import type { ModelCase, Tensorflow } from './model-case.js';

export const words = 12;
export const steps = 5;
const rows = [steps, 3];

export const embedding = (tf: Tensorflow, maskZero = false, outputDim = 4) =>
  tf.layers.embedding({ inputDim: words, outputDim, inputLength: steps, maskZero });

/** A classifier of texts with `middle` between the embedding and the last layer. */
export const text = (
  name: string,
  middle: (tf: Tensorflow) => Parameters<ReturnType<Tensorflow['sequential']>['add']>[0][],
  maskZero = false,
): ModelCase => ({
  name,
  vocabulary: [words],
  loss: 'softmaxCrossEntropy',
  build: (tf) =>
    tf.sequential({ layers: [embedding(tf, maskZero), ...middle(tf), tf.layers.dense({ units: 3 })] }),
});

/** A regression on time series with `layers` before the last layer. */
export const series = (
  name: string,
  middle: (tf: Tensorflow) => Parameters<ReturnType<Tensorflow['sequential']>['add']>[0][],
  padded = false,
): ModelCase => ({
  name,
  padded,
  build: (tf) =>
    tf.sequential({
      layers: [
        tf.layers.activation({ inputShape: rows, activation: 'linear' }),
        ...middle(tf),
        tf.layers.dense({ units: 2 }),
      ],
    }),
});

const texts: readonly ModelCase[] = [
  text('text: LSTM', ({ layers }) => [layers.lstm({ units: 4 })]),
  text('text: GRU', ({ layers }) => [layers.gru({ units: 4 })]),
  text('text: SimpleRNN', ({ layers }) => [layers.simpleRNN({ units: 4 })]),
  text('text: bidirectional LSTM', ({ layers }) => [
    layers.bidirectional({ layer: layers.lstm({ units: 3 }), mergeMode: 'concat' }),
  ]),
  text('text: mean of embeddings', ({ layers }) => [layers.globalAveragePooling1d({})]),
  text('text: embeddings in a row', ({ layers }) => [layers.flatten()]),
  text('text: convolution and maximum', ({ layers }) => [
    layers.conv1d({ filters: 4, kernelSize: 3, activation: 'relu' }),
    layers.globalMaxPooling1d({}),
  ]),
  {
    name: 'text: tags of all words',
    vocabulary: [words],
    loss: 'softmaxCrossEntropy',
    build: (tf) =>
      tf.sequential({
        layers: [
          embedding(tf),
          tf.layers.bidirectional({
            layer: tf.layers.gru({ units: 3, returnSequences: true }),
            mergeMode: 'concat',
          }),
          tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 4 }) }),
        ],
      }),
  },
  {
    name: 'text: any length',
    vocabulary: [words],
    build: (tf) =>
      tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: words, outputDim: 4, inputShape: [null] }),
          tf.layers.lstm({ units: 3 }),
          tf.layers.dense({ units: 2 }),
        ],
      }),
  },
];

const seriesModels: readonly ModelCase[] = [
  series('series: LSTM', ({ layers }) => [layers.lstm({ units: 4 })]),
  series('series: LSTM, its options', ({ layers }) => [
    layers.lstm({ units: 4, activation: 'relu', recurrentActivation: 'sigmoid', unitForgetBias: false }),
  ]),
  series('series: backwards', ({ layers }) => [layers.lstm({ units: 4, goBackwards: true })]),
  series('series: GRU without bias', ({ layers }) => [layers.gru({ units: 4, useBias: false })]),
  series('series: unrolled', ({ layers }) => [layers.simpleRNN({ units: 4, unroll: true })]),
  series('series: three stacked RNNs', ({ layers }) => [
    layers.lstm({ units: 4, returnSequences: true }),
    layers.gru({ units: 3, returnSequences: true }),
    layers.simpleRNN({ units: 3 }),
  ]),
  series('series: stacked cells', ({ layers }) => [
    layers.rnn({ cell: [layers.lstmCell({ units: 3 }), layers.gruCell({ units: 4 })] }),
  ]),
  series('series: one cell', ({ layers }) => [
    layers.rnn({ cell: layers.simpleRNNCell({ units: 3 }), returnSequences: true }),
    layers.flatten(),
  ]),
  series('series: sum of both directions', ({ layers }) => [
    layers.bidirectional({ layer: layers.gru({ units: 3, returnSequences: true }), mergeMode: 'sum' }),
    layers.bidirectional({ layer: layers.lstm({ units: 3 }), mergeMode: 'ave' }),
  ]),
  series('series: product of both directions', ({ layers }) => [
    layers.bidirectional({ layer: layers.simpleRNN({ units: 3 }), mergeMode: 'mul' }),
  ]),
  series('series: one dense layer for all times', ({ layers }) => [
    layers.timeDistributed({ layer: layers.dense({ units: 4, activation: 'relu' }) }),
    layers.averagePooling1d({ poolSize: 2, strides: 1 }),
    layers.flatten(),
  ]),
  series('series: strided convolution and maximum', ({ layers }) => [
    layers.conv1d({ filters: 4, kernelSize: 3, padding: 'same', activation: 'relu' }),
    layers.maxPooling1d({ poolSize: 2 }),
    layers.conv1d({ filters: 3, kernelSize: 1, useBias: false }),
    layers.flatten(),
  ]),
  series('series: convolution, BatchNorm and LSTM', ({ layers }) => [
    layers.conv1d({ filters: 4, kernelSize: 2 }),
    layers.batchNormalization(),
    layers.activation({ activation: 'relu' }),
    layers.lstm({ units: 3 }),
  ]),
  series('series: RepeatVector as a decoder', ({ layers }) => [
    layers.lstm({ units: 4 }),
    layers.repeatVector({ n: 3 }),
    layers.lstm({ units: 3, returnSequences: true }),
  ]),
  series('series: exchanged axes', ({ layers }) => [
    layers.permute({ dims: [2, 1] }),
    layers.dense({ units: 4, activation: 'tanh' }),
    layers.reshape({ targetShape: [12] }),
  ]),
];

const sequenceToSequence: ModelCase = {
  name: 'seq2seq: the state of the encoder starts the decoder',
  vocabulary: [words, words],
  loss: 'softmaxCrossEntropy',
  build: (tf) => {
    const source = tf.input({ shape: [steps] });
    const target = tf.input({ shape: [steps] });
    const encoder = tf.layers.lstm({ units: 4, returnState: true });
    const [, h, c] = encoder.apply(embedding(tf).apply(source)) as SymbolicTensor[];
    const decoder = tf.layers.lstm({ units: 4, returnSequences: true });
    const initialState = [h, c] as SymbolicTensor[];
    const decoded = decoder.apply(embedding(tf).apply(target), { initialState });
    return tf.model({
      inputs: [source, target],
      outputs: tf.layers.dense({ units: words }).apply(decoded) as SymbolicTensor,
    });
  },
};

const frames: ModelCase = {
  name: 'video: ConvLSTM2D',
  build: (tf) =>
    tf.sequential({
      layers: [
        tf.layers.convLstm2d({ inputShape: [3, 4, 4, 1], filters: 2, kernelSize: 2, returnSequences: true }),
        tf.layers.convLstm2d({ filters: 2, kernelSize: 2 }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 2 }),
      ],
    }),
};

const frameFeatures: ModelCase = {
  name: 'video: a convolution for all frames',
  build: (tf) =>
    tf.sequential({
      layers: [
        tf.layers.timeDistributed({
          inputShape: [3, 4, 4, 1],
          layer: tf.layers.conv2d({ filters: 2, kernelSize: 2, activation: 'relu' }),
        }),
        tf.layers.timeDistributed({ layer: tf.layers.flatten() }),
        tf.layers.gru({ units: 3 }),
        tf.layers.dense({ units: 2 }),
      ],
    }),
};

export const recurrentModels: readonly ModelCase[] = [
  ...texts,
  ...seriesModels,
  sequenceToSequence,
  frames,
  frameFeatures,
];
