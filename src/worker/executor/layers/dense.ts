/** Dense on [batch, features] with a linear or ReLU activation. Other options are recorded. */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs';
import { fieldsOf, type LayerVariable } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';

interface DenseFields {
  readonly kernel: LayerVariable;
  readonly bias: LayerVariable | null;
}

export const dense: LayerImplementation = (layer, { tf, kernels, weightIndex, needsInputGradient, node }) => {
  const { kernel, bias } = fieldsOf<DenseFields>(layer);
  const activation = layer.getConfig()['activation'] ?? 'linear';
  if (node.inputShapes[0]?.length !== 2 || (activation !== 'linear' && activation !== 'relu'))
    return undefined;

  return shardwise((x, shard, context) => {
    const input = kernels.operand(x as Tensor2D);
    const { shape } = kernel.read();
    const weights = kernels.operand(kernel.read() as Tensor2D);
    const product = kernels.matMul(input, weights, false, false);
    if (input !== x) input.dispose();
    // BatchNorm cancels the bias, as in Conv2D.
    const cancelled = node.biasCancelled && context.training;
    const sum = bias && !cancelled ? kernels.biasAdd(product, bias.read() as Tensor1D) : product;
    const y = activation === 'relu' ? kernels.relu(sum) : sum;
    const backward = (gradient: Tensor): Tensor | undefined => {
      const dy = (activation === 'relu' ? kernels.reluGradient(gradient, y) : gradient) as Tensor2D;
      if (bias?.trainable) {
        const biasGradient = cancelled ? new Float32Array(shape[1] ?? 0) : kernels.columnSums(dy);
        context.gradient(weightIndex(bias), shard, biasGradient);
      }
      context.defer(() => {
        if (!kernel.trainable) return;
        const kernelGradient = kernels.denseGradient(x as Tensor2D, dy);
        context.gradient(weightIndex(kernel), shard, kernelGradient);
        if (typeof kernelGradient !== 'function') kernelGradient.dispose();
      });
      if (!needsInputGradient) return undefined;
      const factor = kernels.operand(dy);
      const dx = kernels.matMul(factor, weights, false, true);
      if (factor !== dy) tf.dispose([factor, weights]);
      return dx;
    };
    return [y, backward];
  });
};
