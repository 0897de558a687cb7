import { defineTraining } from 'lockstep';
import { noiseData } from './noise.js';

/** A perceptron with three hidden layers of 1024 units. */
export default defineTraining({
  name: 'mlp',
  model: ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.dense({ units: 1024, activation: 'relu', inputShape: [784] }),
        tf.layers.dense({ units: 1024, activation: 'relu' }),
        tf.layers.dense({ units: 1024, activation: 'relu' }),
        tf.layers.dense({ units: 10 }),
      ],
    }),
  batchSize: 128,
  epochs: 100,
  optimizer: { kind: 'adam', learningRate: 1e-3 },
  data: noiseData({ shape: [784], classes: 10 }),
});
