/**
 * A small convolutional network for MNIST: a 5x5 convolution with 32 channels, 3x3 convolutions with 32, 64, 64 and 128 channels, global
 * average pooling and one dense layer; about 150,000 parameters. It halves the image size early, because the layers at full size take
 * most of the time.
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { ModelContext } from 'lockstep';

export function network({ tf, seed }: ModelContext): LayersModel {
  let drawn = 0;
  const initializer = () => tf.initializers.heNormal({ seed: seed * 1000 + ++drawn });
  const block = (filters: number, kernelSize: number, pool: boolean, input = false) => [
    tf.layers.conv2d({
      filters,
      kernelSize,
      padding: 'same',
      useBias: false,
      kernelInitializer: initializer(),
      ...(input ? { inputShape: [28, 28, 1] } : {}),
    }),
    tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }),
    tf.layers.reLU(),
    ...(pool ? [tf.layers.maxPooling2d({ poolSize: 2, strides: 2 })] : []),
  ];
  return tf.sequential({
    name: 'mnist-fast',
    layers: [
      ...block(32, 5, true, true),
      ...block(32, 3, false),
      ...block(64, 3, true),
      ...block(64, 3, false),
      ...block(128, 3, false),
      tf.layers.globalAveragePooling2d({ dataFormat: 'channelsLast' }),
      tf.layers.dropout({ rate: 0.1 }),
      tf.layers.dense({ units: 10, kernelInitializer: initializer() }),
    ],
  });
}
