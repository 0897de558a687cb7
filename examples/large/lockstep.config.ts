/** A network with 100 million parameters on MNIST, whose training state is 1.2 GB, for measurements of recovery and of checkpoints. */

import { defineTraining } from 'lockstep';

export default defineTraining({
  name: 'mnist-large',
  batchSize: 8,
  model: ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.flatten({ inputShape: [28, 28, 1] }),
        tf.layers.dense({ units: 8192, activation: 'relu' }),
        tf.layers.dense({ units: 8192, activation: 'relu' }),
        tf.layers.dense({ units: 3328, activation: 'relu' }),
        tf.layers.dense({ units: 10 }),
      ],
    }),
});
