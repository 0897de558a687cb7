/** Models of pictures and volumes. */

import type { SymbolicTensor, layers } from '@tensorflow/tfjs';
import { apply } from './dense-models.js';
import type { ModelCase, Tensorflow } from './model-case.js';
import { spreadConvolution } from './spread-convolution.js';

type Layer = layers.Layer;
type Block = (input: SymbolicTensor) => SymbolicTensor;

const size = [6, 6, 2];

const sequential = (
  name: string,
  middle: (tf: Tensorflow) => Layer[],
  options: Partial<ModelCase> & { readonly inputShape?: readonly number[] } = {},
): ModelCase => {
  const { inputShape = size, ...rest } = options;
  return {
    name,
    build: (tf) => {
      const model = tf.sequential();
      model.add(tf.layers.activation({ inputShape: [...inputShape], activation: 'linear' }));
      for (const layer of middle(tf)) model.add(layer);
      if (model.outputShape.length > 2) model.add(tf.layers.flatten());
      model.add(tf.layers.dense({ units: 3 }));
      return model;
    },
    ...rest,
  };
};

const functional = (
  name: string,
  body: (tf: Tensorflow) => Block,
  options: Partial<ModelCase> = {},
): ModelCase => ({
  name,
  build: (tf) => {
    const input = tf.input({ shape: size });
    return tf.model({ inputs: input, outputs: body(tf)(input) });
  },
  ...options,
});

const convolution = (tf: Tensorflow, filters: number, kernelSize = 3, strides = 1): Layer =>
  tf.layers.conv2d({ filters, kernelSize, strides, padding: 'same', useBias: false });

const normalized = (tf: Tensorflow, x: SymbolicTensor, activation?: 'relu' | 'relu6'): SymbolicTensor => {
  const y = apply(tf.layers.batchNormalization(), x);
  return activation ? apply(tf.layers.activation({ activation }), y) : y;
};

const classifier = (tf: Tensorflow, x: SymbolicTensor): SymbolicTensor =>
  apply(tf.layers.dense({ units: 3 }), apply(tf.layers.globalAveragePooling2d({}), x));

const simple: readonly ModelCase[] = [
  sequential(
    'pictures: LeNet',
    ({ layers }) => [
      layers.conv2d({ filters: 3, kernelSize: 3, activation: 'tanh' }),
      layers.averagePooling2d({ poolSize: 2 }),
      layers.flatten(),
      layers.dense({ units: 5, activation: 'tanh' }),
    ],
    { loss: 'softmaxCrossEntropy' },
  ),
  sequential(
    'pictures: VGG block with BatchNorm',
    ({ layers }) => [
      layers.conv2d({ filters: 3, kernelSize: 3, padding: 'same' }),
      layers.batchNormalization(),
      layers.reLU(),
      layers.conv2d({ filters: 3, kernelSize: 3, padding: 'same' }),
      layers.batchNormalization({ momentum: 0.9 }),
      layers.reLU(),
      layers.maxPooling2d({ poolSize: 2 }),
    ],
    { loss: 'softmaxCrossEntropy' },
  ),
  sequential(
    'pictures: MobileNet block with ReLU6',
    ({ layers, initializers }) => [
      layers.conv2d({ filters: 16, kernelSize: 3, padding: 'same', useBias: false }),
      // The offset brings a good part of the values above 6.
      layers.batchNormalization({ betaInitializer: initializers.constant({ value: 5.5 }) }),
      layers.activation({ activation: 'relu6' }),
      layers.depthwiseConv2d({ kernelSize: 3, padding: 'same', useBias: false }),
      layers.batchNormalization(),
      layers.reLU({ maxValue: 6 }),
    ],
    { loss: 'softmaxCrossEntropy' },
  ),
  sequential('pictures: BatchNorm without scale', ({ layers }) => [
    layers.conv2d({ filters: 3, kernelSize: 3 }),
    layers.batchNormalization({ scale: false }),
    layers.activation({ activation: 'sigmoid' }),
  ]),
  sequential('pictures: BatchNorm without offset', ({ layers }) => [
    layers.conv2d({ filters: 3, kernelSize: 3, activation: 'relu' }),
    layers.batchNormalization({ center: false, epsilon: 1e-2 }),
  ]),
  sequential('pictures: BatchNorm with neither', ({ layers }) => [
    layers.batchNormalization({ center: false, scale: false }),
    layers.conv2d({ filters: 3, kernelSize: 3 }),
  ]),
  sequential('pictures: BatchNorm with the number of its last axis', ({ layers }) => [
    layers.batchNormalization({ axis: 3 }),
    layers.conv2d({ filters: 3, kernelSize: 3 }),
  ]),
  sequential('pictures: depthwise convolution', ({ layers }) => [
    layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, activation: 'relu' }),
  ]),
  sequential('pictures: depthwise convolution, same padding and strides', ({ layers }) => [
    layers.depthwiseConv2d({ kernelSize: 3, padding: 'same', strides: 2 }),
  ]),
  sequential('pictures: separable convolution', ({ layers }) => [
    layers.separableConv2d({ filters: 4, kernelSize: 3, depthMultiplier: 2, activation: 'elu' }),
  ]),
  sequential('pictures: oblong kernels and strides', ({ layers }) => [
    layers.conv2d({ filters: 3, kernelSize: [1, 3], strides: [2, 1], activation: 'softplus' }),
    layers.maxPooling2d({ poolSize: [1, 2], strides: [1, 2] }),
  ]),
  sequential('pictures: overlapping maxima', ({ layers }) => [
    layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
    layers.conv2d({ filters: 3, kernelSize: 2 }),
  ]),
  sequential('pictures: border, crop and enlargement', ({ layers }) => [
    layers.zeroPadding2d({
      padding: [
        [1, 0],
        [2, 1],
      ],
    }),
    layers.conv2d({ filters: 2, kernelSize: 3 }),
    layers.cropping2D({
      cropping: [
        [0, 1],
        [1, 1],
      ],
    }),
    layers.upSampling2d({ size: [2, 1] }),
    layers.conv2d({ filters: 2, kernelSize: 2 }),
  ]),
  sequential('pictures: largest value per channel', ({ layers }) => [
    layers.conv2d({ filters: 4, kernelSize: 3 }),
    layers.globalMaxPooling2d({}),
  ]),
  // Most of a bias's gradient cancels in the normalization behind it. What remains is rounding, in which tfjs and Lockstep differ.
  sequential('pictures: locally normalised', ({ layers }) => [
    layers.conv2d({ filters: 4, kernelSize: 3, useBias: false }),
    layers.layerNormalization(),
    layers.activation({ activation: 'gelu' }),
    layers.flatten(),
    layers.layerNormalization({ epsilon: 1e-2 }),
  ]),
  sequential('pictures: rows of pixels as a sequence', ({ layers }) => [
    layers.reshape({ targetShape: [6, 12] }),
    layers.lstm({ units: 4 }),
  ]),
  sequential(
    'volumes: 3D convolution and average',
    ({ layers }) => [
      layers.conv3d({ filters: 2, kernelSize: 2, activation: 'relu' }),
      layers.averagePooling3d({ poolSize: 2, strides: 1 }),
    ],
    { inputShape: [4, 4, 4, 1] },
  ),
  sequential(
    'volumes: two 3D convolutions',
    ({ layers }) => [
      layers.conv3d({ filters: 3, kernelSize: 2, activation: 'tanh' }),
      layers.conv3d({ filters: 2, kernelSize: 2, padding: 'same' }),
    ],
    { inputShape: [3, 3, 3, 1] },
  ),
  sequential(
    'volumes: 3D convolution and maximum',
    ({ layers }) => [
      layers.conv3d({ filters: 2, kernelSize: 2, padding: 'same' }),
      layers.maxPooling3d({ poolSize: 2 }),
    ],
    { inputShape: [4, 4, 4, 1] },
  ),
];

const dilated = (tf: Tensorflow, convolution: (padding: 'same' | 'valid') => Layer): Layer[] => [
  convolution('same'),
  tf.layers.activation({ activation: 'relu' }),
  convolution('valid'),
];

const dilatedConvolutions: ModelCase = {
  ...sequential('pictures: dilated convolutions', (tf) =>
    dilated(tf, (padding) => tf.layers.conv2d({ filters: 3, kernelSize: 2, dilationRate: 2, padding })),
  ),
  // tfjs has no gradient of a dilated convolution.
  reference: sequential('', (tf) => dilated(tf, (padding) => spreadConvolution(tf, padding))).build,
};

const autoencoder = functional('pictures: autoencoder', (tf) => (input) => {
  let x = apply(
    tf.layers.conv2d({ filters: 3, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' }),
    input,
  );
  x = apply(tf.layers.flatten(), x);
  x = apply(tf.layers.dense({ units: 4 }), x);
  x = apply(tf.layers.dense({ units: 27, activation: 'relu' }), x);
  x = apply(tf.layers.reshape({ targetShape: [3, 3, 3] }), x);
  x = apply(
    tf.layers.conv2dTranspose({ filters: 3, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu' }),
    x,
  );
  return apply(tf.layers.conv2dTranspose({ filters: 2, kernelSize: 3, padding: 'same' }), x);
});

const uNet = functional(
  'pictures: U-Net',
  (tf) => (input) => {
    const block = (x: SymbolicTensor, filters: number): SymbolicTensor =>
      normalized(tf, apply(convolution(tf, filters), x), 'relu');
    const down = block(input, 3);
    const low = block(apply(tf.layers.maxPooling2d({ poolSize: 2 }), down), 4);
    const up = apply(tf.layers.conv2dTranspose({ filters: 3, kernelSize: 2, strides: 2 }), low);
    const joined = block(apply(tf.layers.concatenate(), down, up), 3);
    return apply(tf.layers.conv2d({ filters: 1, kernelSize: 1 }), joined);
  },
  { loss: 'binaryCrossEntropy' },
);

const residual = functional('pictures: residual blocks', (tf) => (input) => {
  const block = (x: SymbolicTensor, filters: number, strides: number): SymbolicTensor => {
    let y = normalized(tf, apply(convolution(tf, filters, 3, strides), x), 'relu');
    y = normalized(tf, apply(convolution(tf, filters), y));
    const shortcut = strides === 1 ? x : normalized(tf, apply(convolution(tf, filters, 1, strides), x));
    return apply(tf.layers.reLU(), apply(tf.layers.add(), shortcut, y));
  };
  return classifier(tf, block(block(apply(convolution(tf, 3), input), 3, 1), 4, 2));
});

const mobileNet = functional('pictures: inverted residual blocks of MobileNet', (tf) => (input) => {
  const block = (x: SymbolicTensor): SymbolicTensor => {
    let y = normalized(tf, apply(convolution(tf, 6, 1), x), 'relu6');
    y = apply(tf.layers.depthwiseConv2d({ kernelSize: 3, padding: 'same', useBias: false }), y);
    y = normalized(tf, y, 'relu6');
    y = normalized(tf, apply(convolution(tf, 3, 1), y));
    return apply(tf.layers.add(), x, y);
  };
  const first = normalized(tf, apply(convolution(tf, 3, 3, 2), input), 'relu6');
  return classifier(tf, block(block(first)));
});

const squeeze = functional('pictures: squeeze and excite', (tf) => (input) => {
  const x = apply(tf.layers.conv2d({ filters: 4, kernelSize: 3, activation: 'relu' }), input);
  let gate = apply(tf.layers.globalAveragePooling2d({}), x);
  gate = apply(tf.layers.dense({ units: 2, activation: 'relu' }), gate);
  gate = apply(tf.layers.dense({ units: 4, activation: 'sigmoid' }), gate);
  gate = apply(tf.layers.reshape({ targetShape: [1, 1, 4] }), gate);
  return classifier(tf, apply(tf.layers.multiply(), x, gate));
});

const inception = functional('pictures: inception', (tf) => (input) => {
  const branch = (kernelSize: number): SymbolicTensor =>
    apply(tf.layers.conv2d({ filters: 2, kernelSize, padding: 'same', activation: 'relu' }), input);
  const pooled = apply(tf.layers.maxPooling2d({ poolSize: 3, strides: 1, padding: 'same' }), input);
  const projected = apply(tf.layers.conv2d({ filters: 2, kernelSize: 1 }), pooled);
  return classifier(tf, apply(tf.layers.concatenate(), branch(1), branch(3), branch(5), projected));
});

const dense = functional('pictures: dense block', (tf) => (input) => {
  let x = input;
  for (let i = 0; i < 3; i++) {
    const y = apply(convolution(tf, 2), normalized(tf, x, 'relu'));
    x = apply(tf.layers.concatenate(), x, y);
  }
  return classifier(tf, x);
});

const superResolution = functional('pictures: enlargement', (tf) => (input) => {
  const features = apply(
    tf.layers.conv2d({ filters: 3, kernelSize: 3, padding: 'same', activation: 'relu' }),
    input,
  );
  const larger = apply(tf.layers.upSampling2d({ size: [2, 2] }), features);
  return apply(tf.layers.conv2d({ filters: 1, kernelSize: 3, padding: 'same' }), larger);
});

export const pictureModels: readonly ModelCase[] = [
  ...simple,
  dilatedConvolutions,
  autoencoder,
  uNet,
  residual,
  mobileNet,
  squeeze,
  inception,
  dense,
  superResolution,
];
