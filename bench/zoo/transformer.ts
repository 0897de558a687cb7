/** The network of the two transformer benchmarks: 5000 words of width 64, length 80, two blocks with 4 heads, two classes. */

import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import type { ModelContext } from 'lockstep';

/** Returns the model; `attention` applies self-attention to a tensor of shape [batch, 80, 64]. */
export function transformer(
  tf: ModelContext['tf'],
  attention: (x: SymbolicTensor) => SymbolicTensor,
): LayersModel {
  const norm = (x: SymbolicTensor) => tf.layers.layerNormalization().apply(x) as SymbolicTensor;
  const add = (x: SymbolicTensor, y: SymbolicTensor) => tf.layers.add().apply([x, y]) as SymbolicTensor;
  const input = tf.input({ shape: [80] });
  let x = tf.layers.embedding({ inputDim: 5000, outputDim: 64 }).apply(input) as SymbolicTensor;
  for (let block = 0; block < 2; block++) {
    x = add(x, attention(norm(x)));
    const hidden = tf.layers.dense({ units: 256, activation: 'relu' }).apply(norm(x)) as SymbolicTensor;
    x = add(x, tf.layers.dense({ units: 64 }).apply(hidden) as SymbolicTensor);
  }
  const mean = tf.layers.globalAveragePooling1d({}).apply(x) as SymbolicTensor;
  return tf.model({
    inputs: input,
    outputs: tf.layers.dense({ units: 2 }).apply(mean) as SymbolicTensor,
  });
}
