/** A small MNIST network with BatchNorm and Dropout whose steps take milliseconds, for `lockstep chaos` and quick experiments. */

import { defineTraining } from 'lockstep';

export default defineTraining({
  name: 'mnist-small',
  batchSize: 40,
  model: ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [28, 28, 1], filters: 8, kernelSize: 3, strides: 2, padding: 'same' }),
        tf.layers.batchNormalization({ epsilon: 1e-5, momentum: 0.9 }),
        tf.layers.reLU(),
        tf.layers.maxPooling2d({ poolSize: 2 }),
        tf.layers.flatten(),
        tf.layers.dropout({ rate: 0.3 }),
        tf.layers.dense({ units: 64 }),
        tf.layers.batchNormalization({ epsilon: 1e-5, momentum: 0.9 }),
        tf.layers.reLU(),
        tf.layers.dense({ units: 10 }),
      ],
    }),
});
