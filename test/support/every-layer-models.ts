/** Models that contain each of tfjs's layers, activations and merges once. */

import type { LayersModel, SymbolicTensor, layers } from '@tensorflow/tfjs';
import type { ModelContext } from '../../src/api/define-training.js';

type Layer = layers.Layer;
type Context = Pick<ModelContext, 'tf'>;

const sequences: Readonly<Record<string, (context: Context) => Layer[]>> = {
  depthwiseConv2d: ({ tf }) => [tf.layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2 })],
  separableConv2d: ({ tf }) => [tf.layers.separableConv2d({ filters: 4, kernelSize: 3 })],
  conv2dTranspose: ({ tf }) => [tf.layers.conv2dTranspose({ filters: 4, kernelSize: 3, strides: 2 })],
  'conv2d, dilated': ({ tf }) => [tf.layers.conv2d({ filters: 4, kernelSize: 3, dilationRate: 2 })],
  'conv2d, strided': ({ tf }) => [
    tf.layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', activation: 'tanh' }),
  ],
  conv1d: ({ tf }) => [rows(tf), tf.layers.conv1d({ filters: 4, kernelSize: 3 })],
  conv3d: ({ tf }) => [cube(tf), tf.layers.conv3d({ filters: 2, kernelSize: 2 })],
  averagePooling1d: ({ tf }) => [
    rows(tf),
    tf.layers.conv1d({ filters: 4, kernelSize: 3 }),
    tf.layers.averagePooling1d({ poolSize: 2 }),
  ],
  averagePooling2d: ({ tf }) => [features(tf), tf.layers.averagePooling2d({ poolSize: 2 })],
  averagePooling3d: ({ tf }) => [
    cube(tf),
    tf.layers.conv3d({ filters: 2, kernelSize: 2, padding: 'same' }),
    tf.layers.averagePooling3d({ poolSize: 2 }),
  ],
  maxPooling1d: ({ tf }) => [
    rows(tf),
    tf.layers.conv1d({ filters: 4, kernelSize: 3 }),
    tf.layers.maxPooling1d({ poolSize: 2 }),
  ],
  'maxPooling2d, overlapping': ({ tf }) => [
    features(tf),
    tf.layers.maxPooling2d({ poolSize: 3, strides: 1, padding: 'same' }),
  ],
  maxPooling3d: ({ tf }) => [
    cube(tf),
    tf.layers.conv3d({ filters: 2, kernelSize: 2, padding: 'same' }),
    tf.layers.maxPooling3d({ poolSize: 2 }),
  ],
  globalAveragePooling2d: ({ tf }) => [features(tf), tf.layers.globalAveragePooling2d({})],
  globalMaxPooling2d: ({ tf }) => [features(tf), tf.layers.globalMaxPooling2d({})],
  upSampling2d: ({ tf }) => [features(tf), tf.layers.upSampling2d({ size: [2, 2] })],
  zeroPadding2d: ({ tf }) => [features(tf), tf.layers.zeroPadding2d({ padding: 1 })],
  cropping2D: ({ tf }) => [features(tf), tf.layers.cropping2D({ cropping: 1 })],
  layerNormalization: ({ tf }) => [...units(tf), tf.layers.layerNormalization()],
  lstm: ({ tf }) => [rows(tf), tf.layers.lstm({ units: 5 })],
  gru: ({ tf }) => [rows(tf), tf.layers.gru({ units: 5, returnSequences: true })],
  simpleRNN: ({ tf }) => [rows(tf), tf.layers.simpleRNN({ units: 5 })],
  bidirectional: ({ tf }) => [
    rows(tf),
    tf.layers.bidirectional({ layer: tf.layers.lstm({ units: 3 }), mergeMode: 'concat' }),
  ],
  timeDistributed: ({ tf }) => [
    rows(tf),
    tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 3 }) }),
  ],
  convLstm2d: ({ tf }) => [
    tf.layers.reshape({ targetShape: [2, 4, 8, 1] }),
    tf.layers.convLstm2d({ filters: 2, kernelSize: 2 }),
  ],
  masking: ({ tf }) => [rows(tf), tf.layers.masking({ maskValue: 0 }), tf.layers.lstm({ units: 3 })],
  permute: ({ tf }) => [rows(tf), tf.layers.permute({ dims: [2, 1] }), tf.layers.dense({ units: 3 })],
  repeatVector: ({ tf }) => [...units(tf), tf.layers.repeatVector({ n: 3 })],
  prelu: ({ tf }) => [...units(tf), tf.layers.prelu()],
  leakyReLU: ({ tf }) => [...units(tf), tf.layers.leakyReLU()],
  elu: ({ tf }) => [...units(tf), tf.layers.elu()],
  softmax: ({ tf }) => [...units(tf), tf.layers.softmax()],
  'reLU, bounded': ({ tf }) => [...units(tf), tf.layers.reLU({ maxValue: 6 })],
};

const activations = [
  ...(['elu', 'gelu', 'gelu_new', 'hardSigmoid', 'mish', 'relu6', 'selu'] as const),
  ...(['sigmoid', 'softmax', 'softplus', 'softsign', 'swish', 'tanh'] as const),
];

const merges: Readonly<Record<string, (context: Context) => Layer>> = {
  add: ({ tf }) => tf.layers.add(),
  multiply: ({ tf }) => tf.layers.multiply(),
  average: ({ tf }) => tf.layers.average(),
  maximum: ({ tf }) => tf.layers.maximum(),
  minimum: ({ tf }) => tf.layers.minimum(),
  concatenate: ({ tf }) => tf.layers.concatenate(),
  dot: ({ tf }) => tf.layers.dot({ axes: 1 }),
};

type Tf = ModelContext['tf'];
const rows = (tf: Tf): Layer => tf.layers.reshape({ targetShape: [8, 8] });
const cube = (tf: Tf): Layer => tf.layers.reshape({ targetShape: [4, 4, 4, 1] });
const features = (tf: Tf): Layer => tf.layers.conv2d({ filters: 4, kernelSize: 3 });
const units = (tf: Tf): Layer[] => [tf.layers.flatten(), tf.layers.dense({ units: 6 })];

type Build = (context: ModelContext) => LayersModel;

const inSequence = (middle: (context: Context) => Layer[]): Build => {
  return ({ tf }) => {
    const model = tf.sequential();
    model.add(tf.layers.reshape({ inputShape: [8, 8, 1], targetShape: [8, 8, 1] }));
    for (const layer of middle({ tf })) model.add(layer);
    if (model.outputShape.length > 2) model.add(tf.layers.flatten());
    model.add(tf.layers.dense({ units: 10 }));
    return model;
  };
};

const merged = (layer: (context: Context) => Layer): Build => {
  return ({ tf }) => {
    const input = tf.input({ shape: [8, 8, 1] });
    const flat = tf.layers.flatten().apply(input);
    const branch = (): SymbolicTensor => tf.layers.dense({ units: 6 }).apply(flat) as SymbolicTensor;
    const both = layer({ tf }).apply([branch(), branch()]);
    return tf.model({ inputs: input, outputs: tf.layers.dense({ units: 10 }).apply(both) as SymbolicTensor });
  };
};

/** Each layer of tfjs by name, between Lockstep's own; for samples of 8x8x1 in 10 classes. */
export const everyLayerModels: readonly (readonly [string, Build])[] = [
  ...Object.entries(sequences).map(([name, middle]) => [name, inSequence(middle)] as const),
  ...activations.map(
    (activation) =>
      [
        `activation ${activation}`,
        inSequence(({ tf }) => [tf.layers.flatten(), tf.layers.dense({ units: 6, activation })]),
      ] as const,
  ),
  ...Object.entries(merges).map(([name, layer]) => [name, merged(layer)] as const),
];
