/** The training definition for `lockstep train`: a small convolutional network on MNIST. The model is an ordinary tfjs model. */

import { defineTraining } from 'lockstep';

export default defineTraining({
  name: 'my-first-model',
  epochs: 3,
  batchSize: 64,
  optimizer: { kind: 'adam', learningRate: 0.001 },
  model: ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [28, 28, 1], filters: 16, kernelSize: 3, padding: 'same' }),
        tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }),
        tf.layers.reLU(),
        tf.layers.maxPooling2d({ poolSize: 2 }),
        tf.layers.conv2d({ filters: 32, kernelSize: 3, padding: 'same' }),
        tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }),
        tf.layers.reLU(),
        tf.layers.maxPooling2d({ poolSize: 2 }),
        tf.layers.flatten(),
        tf.layers.dropout({ rate: 0.3 }),
        tf.layers.dense({ units: 128 }),
        tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }),
        tf.layers.reLU(),
        tf.layers.dense({ units: 10 }),
      ],
    }),
});
