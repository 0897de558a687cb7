/** A network for drivers that simulate a GPU: every kind of layer of the ConvNet, with few shaders to compile. */

import type { ModelContext } from 'lockstep';

export function smallNet({
  tf,
  seed,
}: Pick<ModelContext, 'tf' | 'seed'>): ReturnType<ModelContext['tf']['sequential']> {
  const kernelInitializer = (n: number) => tf.initializers.glorotUniform({ seed: seed * 1000 + n });
  return tf.sequential({
    name: 'small',
    layers: [
      tf.layers.averagePooling2d({ inputShape: [28, 28, 1], poolSize: 4 }),
      tf.layers.conv2d({
        filters: 4,
        kernelSize: 3,
        padding: 'same',
        kernelInitializer: kernelInitializer(1),
      }),
      tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }),
      tf.layers.reLU(),
      tf.layers.maxPooling2d({ poolSize: 2, strides: 2 }),
      tf.layers.flatten(),
      tf.layers.dropout({ rate: 0.3 }),
      tf.layers.dense({ units: 10, kernelInitializer: kernelInitializer(2) }),
    ],
  });
}
