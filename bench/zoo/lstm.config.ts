import { defineTraining } from 'lockstep';
import { noiseData } from './noise.js';

/** An embedding of 5000 words, LSTM with 64 units over 80 steps, and two classes. */
export default defineTraining({
  name: 'lstm',
  model: ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.embedding({ inputDim: 5000, outputDim: 64, inputLength: 80 }),
        tf.layers.lstm({ units: 64 }),
        tf.layers.dense({ units: 2 }),
      ],
    }),
  batchSize: 64,
  epochs: 100,
  optimizer: { kind: 'adam', learningRate: 1e-3 },
  data: noiseData({ shape: [80], classes: 2, vocabulary: 5000 }),
});
