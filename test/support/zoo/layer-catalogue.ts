/** Every kind of layer with random options, for random models. */

import type { layers } from '@tensorflow/tfjs';
import type { Random } from '../../../scripts/fuzz/mutate.js';
import type { Tensorflow } from './model-case.js';

export type Layer = layers.Layer;
export type Shape = readonly number[];

export interface Draw {
  readonly tf: Tensorflow;
  /** Draws an integer from 0 (inclusive) to the argument (exclusive). */
  readonly random: Random;
}

export interface Kind {
  /** Number of dimensions of one sample: 1 for numbers, 2 for a sequence, 3 for a picture, 4 for a volume or a video. */
  readonly rank: number;
  /** Returns undefined if the shape does not fit. */
  readonly make: (draw: Draw, shape: Shape) => Layer | undefined;
}

export const pick = <T>(random: Random, from: readonly T[]): T => from[random(from.length)] as T;
const oneIn = (random: Random, count: number): boolean => random(count) === 0;

const activations = [
  ...(['linear', 'elu', 'gelu', 'gelu_new', 'hardSigmoid', 'mish', 'relu', 'relu6', 'selu'] as const),
  ...(['sigmoid', 'softmax', 'softplus', 'softsign', 'swish', 'tanh'] as const),
];
const activation = ({ random }: Draw): (typeof activations)[number] => pick(random, activations);

/** Options that many layers have: mostly a bias, rarely a regularizer, frozen weights or a constraint. */
const common = ({ tf, random }: Draw) => ({
  useBias: !oneIn(random, 4),
  trainable: !oneIn(random, 12),
  ...(oneIn(random, 10) && { kernelRegularizer: tf.regularizers.l2({ l2: 0.01 }) }),
  ...(oneIn(random, 60) && { kernelConstraint: tf.constraints.nonNeg() }),
});

const units = ({ random }: Draw): number => 1 + random(4);
const padding = ({ random }: Draw): 'same' | 'valid' => pick(random, ['same', 'valid'] as const);
const small = (shape: Shape): number => Math.min(...shape.slice(0, -1));

/** Layers that keep the shape of any input. */
const elementwise: readonly ((draw: Draw) => Layer)[] = [
  (draw) => draw.tf.layers.activation({ activation: activation(draw) }),
  ({ tf, random }) => tf.layers.reLU(oneIn(random, 2) ? { maxValue: 1 } : {}),
  ({ tf }) => tf.layers.leakyReLU({ alpha: 0.2 }),
  ({ tf }) => tf.layers.prelu(),
  ({ tf }) => tf.layers.elu(),
  ({ tf }) => tf.layers.thresholdedReLU({ theta: 0.2 }),
  ({ tf }) => tf.layers.softmax(),
  ({ tf, random }) =>
    tf.layers.batchNormalization({
      momentum: pick(random, [0.9, 0.99]),
      scale: !oneIn(random, 4),
      center: !oneIn(random, 4),
    }),
  ({ tf, random }) => tf.layers.layerNormalization({ scale: !oneIn(random, 4), center: !oneIn(random, 4) }),
  ({ tf }) => tf.layers.rescaling({ scale: 0.7, offset: 0.1 }),
  ({ tf, random }) => tf.layers.dropout({ rate: pick(random, [0, 0, 0.3]) }),
  ({ tf, random }) =>
    pick(random, [
      tf.layers.gaussianNoise({ stddev: 0.1 }),
      tf.layers.gaussianDropout({ rate: 0.2 }),
      tf.layers.alphaDropout({ rate: 0.2 }),
    ]),
];

const recurrentOptions = (draw: Draw) => ({
  units: units(draw),
  useBias: !oneIn(draw.random, 4),
  returnSequences: oneIn(draw.random, 2),
  goBackwards: oneIn(draw.random, 5),
  trainable: !oneIn(draw.random, 12),
  ...(oneIn(draw.random, 25) && { dropout: 0.2 }),
  ...(oneIn(draw.random, 25) && { recurrentDropout: 0.2 }),
});

const recurrent = (draw: Draw, returnSequences?: boolean): layers.RNN => {
  const options = { ...recurrentOptions(draw), ...(returnSequences !== undefined && { returnSequences }) };
  const { layers } = draw.tf;
  switch (draw.random(3)) {
    case 0:
      return layers.lstm(options);
    case 1:
      return layers.gru(options);
    default:
      return layers.simpleRNN(options);
  }
};

const cell = (draw: Draw) => {
  const { layers } = draw.tf;
  const options = { units: units(draw) };
  return pick(draw.random, [layers.lstmCell, layers.gruCell, layers.simpleRNNCell])(options);
};

const inTime: readonly ((draw: Draw) => Layer)[] = [
  (draw) => draw.tf.layers.dense({ units: units(draw), activation: activation(draw), ...common(draw) }),
  ({ tf }) => tf.layers.dropout({ rate: 0.3 }),
  ({ tf }) => tf.layers.batchNormalization({ momentum: 0.9 }),
  ({ tf }) => tf.layers.layerNormalization(),
];

const numbers: readonly Kind['make'][] = [
  (draw) => draw.tf.layers.dense({ units: units(draw), activation: activation(draw), ...common(draw) }),
  (draw) => draw.tf.layers.dense({ units: units(draw), activation: activation(draw), ...common(draw) }),
  (draw) => draw.tf.layers.repeatVector({ n: 2 + draw.random(2) }),
  ({ tf }, [size = 0]) =>
    size % 2 === 0
      ? tf.layers.reshape({ targetShape: [size / 2, 2] })
      : tf.layers.reshape({ targetShape: [size, 1] }),
];

const sequences: readonly Kind['make'][] = [
  (draw) => recurrent(draw),
  (draw) => recurrent(draw),
  (draw) =>
    draw.tf.layers.bidirectional({
      layer: recurrent(draw),
      mergeMode: pick(draw.random, ['concat', 'sum', 'mul', 'ave'] as const),
    }),
  (draw) => draw.tf.layers.rnn({ cell: oneIn(draw.random, 2) ? cell(draw) : [cell(draw), cell(draw)] }),
  (draw) => draw.tf.layers.timeDistributed({ layer: pick(draw.random, inTime)(draw) }),
  (draw) => draw.tf.layers.dense({ units: units(draw), activation: activation(draw), ...common(draw) }),
  (draw, [steps = 0]) => {
    const kernelSize = 1 + draw.random(Math.min(3, steps));
    const strides = 1 + draw.random(2);
    return draw.tf.layers.conv1d({
      filters: units(draw),
      kernelSize,
      strides,
      padding: oneIn(draw.random, 12) ? 'causal' : padding(draw),
      dilationRate: strides === 1 && oneIn(draw.random, 10) ? 2 : 1,
      activation: activation(draw),
      ...common(draw),
    });
  },
  (draw, [steps = 0]) =>
    steps < 2
      ? undefined
      : draw.tf.layers.maxPooling1d({ poolSize: 2, strides: 1 + draw.random(2), padding: padding(draw) }),
  (draw, [steps = 0]) =>
    steps < 2 ? undefined : draw.tf.layers.averagePooling1d({ poolSize: 2, padding: padding(draw) }),
  ({ tf }) => tf.layers.globalAveragePooling1d({}),
  ({ tf }) => tf.layers.globalMaxPooling1d({}),
  ({ tf }) => tf.layers.permute({ dims: [2, 1] }),
  ({ tf }) => tf.layers.masking({ maskValue: 0 }),
  ({ tf }) => tf.layers.spatialDropout1d({ rate: 0.3 }),
  ({ tf }) => tf.layers.flatten(),
];

const pictures: readonly Kind['make'][] = [
  (draw, shape) => {
    const strides = 1 + draw.random(2);
    return draw.tf.layers.conv2d({
      filters: units(draw),
      kernelSize: 1 + draw.random(Math.min(3, small(shape))),
      strides,
      padding: padding(draw),
      dilationRate: strides === 1 && oneIn(draw.random, 8) ? 2 : 1,
      activation: activation(draw),
      ...common(draw),
    });
  },
  (draw, shape) =>
    draw.tf.layers.conv2d({
      filters: units(draw),
      kernelSize: Math.min(3, small(shape)),
      padding: padding(draw),
      ...common(draw),
    }),
  (draw, shape) =>
    draw.tf.layers.depthwiseConv2d({
      kernelSize: 1 + draw.random(Math.min(3, small(shape))),
      depthMultiplier: 1 + draw.random(2),
      padding: padding(draw),
      useBias: !oneIn(draw.random, 4),
    }),
  (draw, shape) =>
    draw.tf.layers.separableConv2d({
      filters: units(draw),
      kernelSize: 1 + draw.random(Math.min(3, small(shape))),
      padding: padding(draw),
      activation: activation(draw),
    }),
  (draw) =>
    draw.tf.layers.conv2dTranspose({
      filters: units(draw),
      kernelSize: 1 + draw.random(3),
      strides: 1 + draw.random(2),
      padding: padding(draw),
      ...common(draw),
    }),
  (draw, shape) =>
    small(shape) < 2
      ? undefined
      : draw.tf.layers.maxPooling2d({ poolSize: 2, strides: 1 + draw.random(2), padding: padding(draw) }),
  (draw, shape) =>
    small(shape) < 2 ? undefined : draw.tf.layers.averagePooling2d({ poolSize: 2, padding: padding(draw) }),
  ({ tf }, shape) => (small(shape) > 6 ? undefined : tf.layers.upSampling2d({ size: [2, 1] })),
  ({ tf }) =>
    tf.layers.zeroPadding2d({
      padding: [
        [1, 0],
        [0, 1],
      ],
    }),
  ({ tf }, shape) =>
    small(shape) < 3
      ? undefined
      : tf.layers.cropping2D({
          cropping: [
            [1, 0],
            [0, 1],
          ],
        }),
  ({ tf }, shape) => (small(shape) < 3 ? undefined : tf.layers.centerCrop({ height: 2, width: 2 })),
  ({ tf }) => tf.layers.globalAveragePooling2d({}),
  ({ tf }) => tf.layers.globalMaxPooling2d({}),
  ({ tf }, [height = 0, width = 0, channels = 0]) =>
    tf.layers.reshape({ targetShape: [height, width * channels] }),
  ({ tf }) => tf.layers.permute({ dims: [2, 1, 3] }),
  ({ tf }) => tf.layers.flatten(),
  (draw) => draw.tf.layers.dense({ units: units(draw), ...common(draw) }),
];

const volumes: readonly Kind['make'][] = [
  (draw, shape) =>
    draw.tf.layers.conv3d({
      filters: units(draw),
      kernelSize: 1 + draw.random(Math.min(2, small(shape))),
      padding: padding(draw),
      activation: activation(draw),
    }),
  (draw, shape) =>
    small(shape) < 2
      ? undefined
      : draw.tf.layers.maxPooling3d({ poolSize: 2, strides: 1, padding: padding(draw) }),
  (draw, shape) =>
    small(shape) < 2
      ? undefined
      : draw.tf.layers.averagePooling3d({ poolSize: 2, strides: 1, padding: padding(draw) }),
  (draw, shape) =>
    draw.tf.layers.convLstm2d({
      filters: units(draw),
      kernelSize: 1 + draw.random(Math.min(2, small(shape.slice(1)))),
      returnSequences: oneIn(draw.random, 3),
    }),
  (draw, shape) =>
    draw.tf.layers.timeDistributed({
      layer: draw.tf.layers.conv2d({ filters: units(draw), kernelSize: Math.min(2, small(shape.slice(1))) }),
    }),
  ({ tf }) => tf.layers.timeDistributed({ layer: tf.layers.flatten() }),
  ({ tf }) => tf.layers.flatten(),
];

export const kinds: readonly Kind[] = [
  ...[1, 2, 3, 4].flatMap((rank) => elementwise.map((make) => ({ rank, make }))),
  // Twice, since there are as many elementwise layers as others of a rank.
  ...[numbers, sequences, pictures, volumes].flatMap((group, i) =>
    [...group, ...group].map((make) => ({ rank: i + 1, make })),
  ),
];

/** Layers that combine several inputs of one shape. */
export const merges: readonly ((draw: Draw) => Layer)[] = [
  ({ tf }) => tf.layers.add(),
  ({ tf }) => tf.layers.multiply(),
  ({ tf }) => tf.layers.average(),
  ({ tf }) => tf.layers.maximum(),
  ({ tf }) => tf.layers.minimum(),
  ({ tf }) => tf.layers.concatenate(),
  ({ tf }) => tf.layers.dot({ axes: -1 }),
];
