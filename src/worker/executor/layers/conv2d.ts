/** Conv2D on [batch, height, width, channels] with a linear or ReLU activation. Other options are recorded. */

import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvWindow } from '../../kernels/kernels.js';
import { fieldsOf, type LayerVariable } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';

interface Conv2dFields {
  readonly kernel: LayerVariable;
  readonly bias: LayerVariable | null;
  readonly strides: [number, number];
  readonly padding: string;
  readonly dilationRate: [number, number];
  readonly dataFormat: string;
}

export const conv2d: LayerImplementation = (layer, { kernels, weightIndex, needsInputGradient, node }) => {
  const { kernel, bias, strides, padding, dilationRate, dataFormat } = fieldsOf<Conv2dFields>(layer);
  const activation = layer.getConfig()['activation'] ?? 'linear';
  const known = activation === 'linear' || activation === 'relu';
  if (dataFormat !== 'channelsLast' || (padding !== 'same' && padding !== 'valid') || !known)
    return undefined;
  const window: ConvWindow = { strides, padding, dilations: dilationRate };

  return shardwise((x, shard, context) => {
    const weights = kernel.read() as Tensor4D;
    const { shape } = weights;
    const operand = (factor: Tensor4D): Tensor4D => kernels.operand(factor, { filterShape: shape, window });
    const input = operand(x as Tensor4D);
    const filter = operand(weights);
    const freeOperands = (): void => {
      if (input !== x) input.dispose();
      if (filter !== weights) filter.dispose();
    };
    let y: Tensor = kernels.conv2d(input, filter, window);
    if (!context.training) freeOperands();
    // A bias before BatchNorm affects only the running mean, which BatchNorm's commit corrects.
    const cancelled = node.biasCancelled && context.training;
    if (bias && !cancelled) y = replace(y, kernels.biasAdd(y, bias.read() as Tensor1D));
    if (activation === 'relu') y = replace(y, kernels.relu(y));
    const backward = (gradient: Tensor): Tensor | undefined => {
      const dy = (activation === 'relu' ? kernels.reluGradient(gradient, y) : gradient) as Tensor4D;
      if (bias?.trainable) {
        const biasGradient = cancelled ? new Float32Array(shape[3]) : kernels.columnSums(dy);
        context.gradient(weightIndex(bias), shard, biasGradient);
      }
      const factor = operand(dy);
      context.defer(() => {
        if (kernel.trainable) {
          const filterGradient = kernels.conv2dFilterGradient(input, shape, factor, window);
          context.gradient(weightIndex(kernel), shard, filterGradient);
          filterGradient.dispose();
        }
        // Deferred work runs after the input gradient below, which is the last reader of the filter.
        freeOperands();
        if (factor !== dy) factor.dispose();
        if (dy !== gradient) dy.dispose();
      });
      return needsInputGradient ? kernels.conv2dInputGradient(x.shape, filter, factor, window) : undefined;
    };
    return [y, backward];
  });
};

/** Disposes an intermediate result once its successor exists. */
function replace(old: Tensor, next: Tensor): Tensor {
  old.dispose();
  return next;
}
