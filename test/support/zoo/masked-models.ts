/** Models with masks: `maskZero` of an embedding, and Masking layers. */

import type { SymbolicTensor } from '@tensorflow/tfjs';
import type { ModelCase } from './model-case.js';
import { embedding, series, steps, text, words } from './recurrent-models.js';

const gruToGru: ModelCase = {
  name: 'seq2seq: GRU on masked words',
  vocabulary: [words, words],
  build: (tf) => {
    const source = tf.input({ shape: [steps] });
    const target = tf.input({ shape: [steps] });
    const encoder = tf.layers.gru({ units: 4, returnState: true });
    const [, state] = encoder.apply(embedding(tf, true).apply(source)) as SymbolicTensor[];
    const decoder = tf.layers.gru({ units: 4, returnSequences: true });
    const decoded = decoder.apply(embedding(tf, true).apply(target), {
      initialState: [state as SymbolicTensor],
    });
    return tf.model({
      inputs: [source, target],
      outputs: tf.layers.dense({ units: 3 }).apply(decoded) as SymbolicTensor,
    });
  },
};

export const maskedModels: readonly ModelCase[] = [
  text('text: masked embedding and LSTM', ({ layers }) => [layers.lstm({ units: 4 })], true),
  text('text: masked embedding and GRU', ({ layers }) => [layers.gru({ units: 4 })], true),
  text(
    'text: masked embedding and two SimpleRNNs',
    ({ layers }) => [layers.simpleRNN({ units: 4, returnSequences: true }), layers.simpleRNN({ units: 3 })],
    true,
  ),
  text(
    'text: masked embedding, TimeDistributed and LSTM',
    ({ layers }) => [
      layers.timeDistributed({ layer: layers.dense({ units: 3, activation: 'tanh' }) }),
      layers.lstm({ units: 3 }),
    ],
    true,
  ),
  series(
    'series: Masking and LSTM',
    ({ layers }) => [layers.masking({ maskValue: 0 }), layers.lstm({ units: 4 })],
    true,
  ),
  series(
    'series: Masking and bidirectional GRU',
    ({ layers }) => [
      layers.masking({ maskValue: 0 }),
      layers.bidirectional({ layer: layers.gru({ units: 3 }), mergeMode: 'concat' }),
    ],
    true,
  ),
  gruToGru,
];
