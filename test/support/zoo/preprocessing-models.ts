/** tfjs's preprocessing layers, which have no weights and stand at the input. */

import type { SymbolicTensor, layers } from '@tensorflow/tfjs';
import type { ModelCase, Tensorflow } from './model-case.js';

const preprocessed = (
  name: string,
  inputShape: readonly number[],
  layer: (tf: Tensorflow) => layers.Layer,
  options: Partial<ModelCase> = {},
): ModelCase => ({
  name,
  build: (tf) => {
    const input = tf.input({ shape: [...inputShape] });
    const processed = layer(tf).apply(input) as SymbolicTensor;
    const flat =
      processed.shape.length > 2 ? (tf.layers.flatten().apply(processed) as SymbolicTensor) : processed;
    return tf.model({
      inputs: input,
      outputs: tf.layers.dense({ units: 2 }).apply(flat) as SymbolicTensor,
    });
  },
  ...options,
});

export const preprocessingModels: readonly ModelCase[] = [
  preprocessed('preprocessing: CenterCrop', [6, 6, 2], (tf) => tf.layers.centerCrop({ height: 4, width: 2 })),
  preprocessed(
    'preprocessing: CategoryEncoding',
    [4],
    (tf) => tf.layers.categoryEncoding({ numTokens: 6, outputMode: 'multiHot' }),
    { vocabulary: [6] },
  ),
];
