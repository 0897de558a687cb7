/**
 * DepthwiseConv2D on [batch, height, width, channels] with one output per channel and a linear or ReLU activation, on an engine with
 * kernels for it. Otherwise it is recorded.
 */

import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import { fieldsOf, type LayerVariable } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';
import { inLayer } from './recorded-layer.js';

interface DepthwiseFields {
  readonly depthwiseKernel: LayerVariable;
  readonly bias: LayerVariable | null;
  readonly strides: [number, number];
  readonly padding: string;
  readonly dataFormat: string;
}

export const depthwiseConv2d: LayerImplementation = (layer, { kernels, weightIndex, needsInputGradient }) => {
  const { depthwiseKernel, bias, strides, padding, dataFormat } = fieldsOf<DepthwiseFields>(layer);
  const activation = layer.getConfig()['activation'] ?? 'linear';
  const known = activation === 'linear' || activation === 'relu';
  if (dataFormat !== 'channelsLast' || (padding !== 'same' && padding !== 'valid') || !known)
    return undefined;
  // tfjs ignores the dilation of this layer.
  const window = { strides, padding, dilations: [1, 1] } as const;
  const convolution = kernels.depthwise({ filterShape: depthwiseKernel.shape as number[], window });
  if (!convolution) return undefined;

  return shardwise((x, shard, context) => {
    const filter = depthwiseKernel.read() as Tensor4D;
    // tfjs checks the number of channels only when it computes.
    const product = inLayer(layer, 'call', () => convolution.forward(x as Tensor4D, filter));
    const sum = bias ? kernels.biasAdd(product, bias.read() as Tensor1D) : product;
    const y = activation === 'relu' ? kernels.relu(sum) : sum;
    const backward = (gradient: Tensor): Tensor | undefined => {
      const dy = (activation === 'relu' ? kernels.reluGradient(gradient, y) : gradient) as Tensor4D;
      if (bias?.trainable) context.gradient(weightIndex(bias), shard, kernels.columnSums(dy));
      context.defer(() => {
        if (!depthwiseKernel.trainable) return;
        const filterGradient = convolution.filterGradient(x as Tensor4D, dy);
        context.gradient(weightIndex(depthwiseKernel), shard, filterGradient);
        filterGradient.dispose();
      });
      return needsInputGradient ? convolution.inputGradient(x.shape, filter, dy) : undefined;
    };
    return [y, backward];
  });
};
