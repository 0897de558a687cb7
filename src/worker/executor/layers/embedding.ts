/**
 * Embedding: the rows of a table by whole numbers. The gradient of the table is written directly to the gradient bucket, where the
 * engine supports this. A layer whose input needs a gradient, which tfjs does not define, is recorded.
 */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { fieldsOf, type LayerVariable } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';

interface EmbeddingFields {
  readonly embeddings: LayerVariable;
}

export const embedding: LayerImplementation = (layer, { tf, kernels, weightIndex, needsInputGradient }) => {
  const { embeddings } = fieldsOf<EmbeddingFields>(layer);
  if (needsInputGradient) return undefined;
  const [rows, columns] = embeddings.shape as [number, number];
  return shardwise((x, shard, context) => {
    const ids = tf.tidy((): Tensor1D => tf.reshape(tf.cast(x, 'int32'), [x.size]));
    const y = tf.reshape(tf.gather(embeddings.read() as Tensor2D, ids), [...x.shape, columns]);
    const backward = (dy: Tensor): undefined => {
      if (embeddings.trainable) {
        const gradient = kernels.embeddingGradient(ids, tf.reshape(dy, [x.size, columns]), rows);
        context.gradient(weightIndex(embeddings), shard, gradient);
        if (typeof gradient !== 'function') gradient.dispose();
      }
      ids.dispose();
      return undefined;
    };
    return [y, backward];
  });
};
