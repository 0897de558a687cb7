/** Dense on [batch, ..., features] with a linear or ReLU activation. Other options are recorded. */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { fieldsOf, type LayerVariable } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';

interface DenseFields {
  readonly kernel: LayerVariable;
  readonly bias: LayerVariable | null;
}

export const dense: LayerImplementation = (layer, { tf, kernels, weightIndex, needsInputGradient, node }) => {
  const { kernel, bias } = fieldsOf<DenseFields>(layer);
  const activation = layer.getConfig()['activation'] ?? 'linear';
  if ((node.inputShapes[0]?.length ?? 0) < 2 || (activation !== 'linear' && activation !== 'relu'))
    return undefined;
  /** Returns [rows, columns]: `x` itself if it has this shape already. */
  const matrix = (x: Tensor, columns: number): Tensor2D =>
    x.rank === 2 ? (x as Tensor2D) : tf.reshape(x, [x.size / columns, columns]);
  const restored = (rows: Tensor, like: readonly number[], columns: number): Tensor =>
    like.length === 2 ? rows : tf.reshape(rows, [...like.slice(0, -1), columns]);

  return shardwise((x, shard, context) => {
    const [inputs, outputs] = kernel.shape as [number, number];
    const rows = matrix(x, inputs);
    const input = kernels.operand(rows);
    const weights = kernels.operand(kernel.read() as Tensor2D);
    const product = kernels.matMul(input, weights, false, false);
    if (input !== rows) input.dispose();
    // BatchNorm cancels the bias, as in Conv2D.
    const cancelled = node.biasCancelled && context.training;
    const sum = bias && !cancelled ? kernels.biasAdd(product, bias.read() as Tensor1D) : product;
    const y = activation === 'relu' ? kernels.relu(sum) : sum;
    const backward = (gradient: Tensor): Tensor | undefined => {
      const given = matrix(gradient, outputs);
      const dy = (activation === 'relu' ? kernels.reluGradient(given, y) : given) as Tensor2D;
      if (bias?.trainable) {
        const biasGradient = cancelled ? new Float32Array(outputs) : kernels.columnSums(dy);
        context.gradient(weightIndex(bias), shard, biasGradient);
      }
      context.defer(() => {
        if (!kernel.trainable) return;
        const kernelGradient = kernels.denseGradient(rows, dy);
        context.gradient(weightIndex(kernel), shard, kernelGradient);
        if (typeof kernelGradient !== 'function') kernelGradient.dispose();
      });
      if (!needsInputGradient) return undefined;
      const factor = kernels.operand(dy);
      const dx = kernels.matMul(factor, weights, false, true);
      if (factor !== dy) tf.dispose([factor, weights]);
      return restored(dx, x.shape, inputs);
    };
    return [restored(y, x.shape, outputs), backward];
  });
};
