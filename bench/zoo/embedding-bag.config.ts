import { defineTraining } from 'lockstep';
import { noiseData } from './noise.js';

/** The mean of the embeddings of 64 words out of 20,000, a hidden layer, and two classes. */
export default defineTraining({
  name: 'embedding-bag',
  model: ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.embedding({ inputDim: 20_000, outputDim: 64, inputLength: 64 }),
        tf.layers.globalAveragePooling1d({}),
        tf.layers.dense({ units: 64, activation: 'relu' }),
        tf.layers.dense({ units: 2 }),
      ],
    }),
  batchSize: 64,
  epochs: 100,
  optimizer: { kind: 'adam', learningRate: 1e-3 },
  data: noiseData({ shape: [64], classes: 2, vocabulary: 20_000 }),
});
