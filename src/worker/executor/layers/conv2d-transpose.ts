/**
 * Conv2DTranspose on [batch, height, width, channels] with a linear or ReLU activation. It is the input gradient of a convolution
 * from its output to its input, and its gradients are that convolution and its filter gradient. Other options are recorded.
 */

import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvWindow } from '../../kernels/kernels.js';
import { fieldsOf, type LayerVariable } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';

interface Conv2dTransposeFields {
  /** [kernelHeight, kernelWidth, outputChannels, inputChannels] */
  readonly kernel: LayerVariable;
  readonly bias: LayerVariable | null;
  readonly strides: [number, number];
  readonly padding: string;
  readonly dataFormat: string;
}

export const conv2dTranspose: LayerImplementation = (layer, { kernels, weightIndex, needsInputGradient }) => {
  const { kernel, bias, strides, padding, dataFormat } = fieldsOf<Conv2dTransposeFields>(layer);
  const activation = layer.getConfig()['activation'] ?? 'linear';
  const known = activation === 'linear' || activation === 'relu';
  if (dataFormat !== 'channelsLast' || (padding !== 'same' && padding !== 'valid') || !known)
    return undefined;
  // tfjs ignores the dilation rate of this layer.
  const window: ConvWindow = { strides, padding, dilations: [1, 1] };

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
    const [images, height, width] = x.shape as [number, number, number];
    const yShape = [
      images,
      outputSize(height, shape[0], strides[0], padding),
      outputSize(width, shape[1], strides[1], padding),
      shape[2],
    ];
    let y: Tensor = kernels.conv2dInputGradient(yShape, filter, input, window);
    if (!context.training) freeOperands();
    if (bias) y = replace(y, kernels.biasAdd(y, bias.read() as Tensor1D));
    if (activation === 'relu') y = replace(y, kernels.relu(y));
    const backward = (gradient: Tensor): Tensor | undefined => {
      const dy = (activation === 'relu' ? kernels.reluGradient(gradient, y) : gradient) as Tensor4D;
      if (bias?.trainable) context.gradient(weightIndex(bias), shard, kernels.columnSums(dy));
      const factor = operand(dy);
      context.defer(() => {
        if (kernel.trainable) {
          const filterGradient = kernels.conv2dFilterGradient(factor, shape, input, window);
          context.gradient(weightIndex(kernel), shard, filterGradient);
          filterGradient.dispose();
        }
        // Deferred work runs after the input gradient below, which is the last reader of the filter.
        freeOperands();
        if (factor !== dy) factor.dispose();
        if (dy !== gradient) dy.dispose();
      });
      return needsInputGradient ? kernels.conv2d(factor, filter, window) : undefined;
    };
    return [y, backward];
  });
};

/** Returns the size of the output along one axis, as tfjs's `deconvLength` does. */
function outputSize(size: number, kernelSize: number, stride: number, padding: string): number {
  return size * stride + (padding === 'valid' ? Math.max(kernelSize - stride, 0) : 0);
}

/** Disposes an intermediate result once its successor exists. */
function replace(old: Tensor, next: Tensor): Tensor {
  old.dispose();
  return next;
}
