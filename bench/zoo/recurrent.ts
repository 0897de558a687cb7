/** The recurrent benchmark models: an embedding of 5000 words, a recurrent layer with 64 units over 80 steps, and two classes. */

import { defineTraining } from 'lockstep';
import { noiseData } from './noise.js';

export const recurrentTraining = (layer: 'lstm' | 'gru') =>
  defineTraining({
    name: layer,
    model: ({ tf }) =>
      tf.sequential({
        layers: [
          tf.layers.embedding({ inputDim: 5000, outputDim: 64, inputLength: 80 }),
          tf.layers[layer]({ units: 64 }),
          tf.layers.dense({ units: 2 }),
        ],
      }),
    batchSize: 64,
    epochs: 100,
    optimizer: { kind: 'adam', learningRate: 1e-3 },
    data: noiseData({ shape: [80], classes: 2, vocabulary: 5000 }),
  });
