/** Combines the masks of the inputs of an attention, as Keras's MultiHeadAttention does. */

import type { Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../tensorflow.js';

/** The masks of the inputs; each has the samples and the steps of its input, true where a step counts. */
export interface InputMasks {
  readonly query: Tensor | undefined;
  readonly value: Tensor | undefined;
  readonly key: Tensor | undefined;
}

/**
 * Returns the float32 mask [samples, queries or 1, keys]: 1 where the query, the value and the key count, else 0; undefined if no
 * input has a mask. A mask of tfjs's merges, [1, samples, steps], is read as [samples, steps].
 * @param sizes the numbers of samples, queries and keys
 */
export function attentionMask(
  tf: Tensorflow,
  { query, value, key }: InputMasks,
  [samples, queries, keys]: readonly [number, number, number],
): Tensor3D | undefined {
  const ofSteps = (mask: Tensor, steps: number, shape: [number, number, number]): Tensor3D => {
    if (mask.size !== samples * steps)
      throw new RangeError(
        `MultiHeadAttention: expected a mask [${samples}, ${steps}], got [${mask.shape.join(', ')}]`,
      );
    return tf.reshape(tf.cast(mask as Tensor2D, 'float32'), shape);
  };
  const parts = [
    ...(query ? [ofSteps(query, queries, [samples, queries, 1])] : []),
    ...(value ? [ofSteps(value, keys, [samples, 1, keys])] : []),
    ...(key && key !== value ? [ofSteps(key, keys, [samples, 1, keys])] : []),
  ];
  if (parts.length === 0) return undefined;
  const combined = parts.reduce((product, part) => tf.mul(product, part));
  return combined.shape[2] === keys ? combined : tf.tile(combined, [1, 1, keys]);
}
