/**
 * The MNIST ConvNet as an ordinary tf.sequential model: two blocks of two convolutions, then three dense layers, about 1.94 million
 * parameters. Weights and biases are initialized with PyTorch's default, uniform in +-1/sqrt(fan_in).
 */

import type { ModelContext } from 'lockstep';

type Tf = ModelContext['tf'];

export function convNet({ tf, seed }: Pick<ModelContext, 'tf' | 'seed'>): ReturnType<Tf['sequential']> {
  let drawn = 0;
  /** Equals kaiming_uniform with a = sqrt(5), the default of torch.nn.Conv2d and torch.nn.Linear. */
  const initializers = (fanIn: number) => {
    const bound = 1 / Math.sqrt(fanIn);
    const uniform = () =>
      tf.initializers.randomUniform({ minval: -bound, maxval: bound, seed: seed * 1000 + ++drawn });
    return { kernelInitializer: uniform(), biasInitializer: uniform() };
  };
  const batchNorm = () => tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 });
  const relu = () => tf.layers.reLU();
  const conv = (inChannels: number, filters: number) =>
    tf.layers.conv2d({ filters, kernelSize: 3, padding: 'same', ...initializers(9 * inChannels) });
  const pool = () => tf.layers.maxPooling2d({ poolSize: 2, strides: 2 });
  const dense = (inFeatures: number, units: number) =>
    tf.layers.dense({ units, ...initializers(inFeatures) });
  const dropout = () => tf.layers.dropout({ rate: 0.5 });

  return tf.sequential({
    name: 'convnet',
    layers: [
      tf.layers.conv2d({
        inputShape: [28, 28, 1],
        filters: 32,
        kernelSize: 3,
        padding: 'same',
        ...initializers(9),
      }),
      batchNorm(),
      relu(),
      conv(32, 32),
      batchNorm(),
      relu(),
      pool(),
      conv(32, 64),
      batchNorm(),
      relu(),
      conv(64, 64),
      batchNorm(),
      relu(),
      pool(),
      tf.layers.flatten(),
      dropout(),
      dense(3136, 512),
      batchNorm(),
      relu(),
      dropout(),
      dense(512, 512),
      batchNorm(),
      relu(),
      dropout(),
      dense(512, 10),
    ],
  });
}
