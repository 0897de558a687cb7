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

  return shardwise((x, shard, context) => {
    const [inputs, outputs] = kernel.shape as [number, number];
    // BatchNorm cancels the bias, as in Conv2D.
    const cancelled = node.biasCancelled && context.training;
    const pass = kernels.dense(x, {
      matrix: kernel.read() as Tensor2D,
      bias: bias && !cancelled ? (bias.read() as Tensor1D) : undefined,
      activation,
    });
    const backward = (dy: Tensor): Tensor | undefined => {
      const trainsBias = bias?.trainable === true;
      const wanted = { input: needsInputGradient, bias: trainsBias && !cancelled };
      const { dz, dx, dBias } = pass.gradients(dy, wanted);
      if (trainsBias) context.gradient(weightIndex(bias), shard, dBias ?? new Float32Array(outputs));
      context.defer(() => {
        if (!kernel.trainable) return;
        const rows = x.rank === 2 ? (x as Tensor2D) : tf.reshape(x, [x.size / inputs, inputs]);
        const kernelGradient = kernels.denseGradient(rows as Tensor2D, dz);
        context.gradient(weightIndex(kernel), shard, kernelGradient);
        if (typeof kernelGradient !== 'function') kernelGradient.dispose();
      });
      return dx;
    };
    return [pass.y, backward];
  });
};
