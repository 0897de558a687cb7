/** Models with layers that draw random numbers, for which tfjs's `fit` is no reference; random-layers.test.ts has their values. */

import type { ModelCase } from './model-case.js';
import { series, text } from './recurrent-models.js';

export const drawingModels: readonly ModelCase[] = [
  series('random: Dropout', ({ layers }) => [layers.dropout({ rate: 0.3 }), layers.flatten()]),
  series('random: Dropout for all times alike', ({ layers }) => [
    layers.dropout({ rate: 0.3, noiseShape: [null, 1, 3] as number[] }),
    layers.lstm({ units: 3 }),
  ]),
  series('random: SpatialDropout1D', ({ layers }) => [
    layers.spatialDropout1d({ rate: 0.4 }),
    layers.gru({ units: 3 }),
  ]),
  series('random: GaussianNoise', ({ layers }) => [layers.gaussianNoise({ stddev: 0.2 }), layers.flatten()]),
  series('random: GaussianDropout', ({ layers }) => [
    layers.gaussianDropout({ rate: 0.3 }),
    layers.flatten(),
  ]),
  series('random: AlphaDropout', ({ layers }) => [layers.alphaDropout({ rate: 0.3 }), layers.flatten()]),
  series('random: Dropout in TimeDistributed', ({ layers }) => [
    layers.timeDistributed({ layer: layers.dropout({ rate: 0.3 }) }),
    layers.simpleRNN({ units: 3 }),
  ]),
  series('random: both dropouts of an LSTM', ({ layers }) => [
    layers.lstm({ units: 3, dropout: 0.2, recurrentDropout: 0.3, returnSequences: true }),
    layers.gru({ units: 3, dropout: 0.2 }),
  ]),
  text('random: dropout of a bidirectional RNN', ({ layers }) => [
    layers.bidirectional({
      layer: layers.simpleRNN({ units: 3, recurrentDropout: 0.3 }),
      mergeMode: 'concat',
    }),
  ]),
];
