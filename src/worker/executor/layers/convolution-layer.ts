/** The passes of a layer that convolves images [batch, height, width, channels], for Conv2D and Conv2DTranspose. */

import type { Tensor, Tensor1D, Tensor4D } from '@tensorflow/tfjs-core';
import type { ConvWindow } from '../../kernels/kernels.js';
import { fieldsOf, type Layer, type LayerVariable } from '../layer.js';
import { shardwise, type LayerOp, type LayerServices } from '../layer-op.js';

export interface ConvolutionFields {
  /** For Conv2D [kernelHeight, kernelWidth, inputChannels, outputChannels]; for Conv2DTranspose with the channels exchanged. */
  readonly kernel: LayerVariable;
  readonly bias: LayerVariable | null;
  readonly strides: [number, number];
  readonly padding: string;
  readonly dilationRate: [number, number];
  readonly dataFormat: string;
}

/** The products of a layer. `x` and `dy` are operands of the run's precision, and so is `filter`. */
export interface ConvolutionProducts {
  forward(x: Tensor4D, filter: Tensor4D): Tensor4D;
  filterGradient(x: Tensor4D, filterShape: readonly number[], dy: Tensor4D): Tensor4D;
  inputGradient(xShape: readonly number[], filter: Tensor4D, dy: Tensor4D): Tensor4D;
}

/** Returns undefined for options without an implementation: channels first, and activations other than linear and ReLU. */
export function convolutionLayer(
  layer: Layer,
  { kernels, weightIndex, needsInputGradient, node }: LayerServices,
  /** Returns the products for the layer's strides, padding and dilation. */
  productsOf: (
    fields: ConvolutionFields,
    padding: 'same' | 'valid',
  ) => ConvolutionProducts & { readonly window: ConvWindow },
): LayerOp | undefined {
  const fields = fieldsOf<ConvolutionFields>(layer);
  const { kernel, bias, padding, dataFormat } = fields;
  const activation = layer.getConfig()['activation'] ?? 'linear';
  const known = activation === 'linear' || activation === 'relu';
  if (dataFormat !== 'channelsLast' || (padding !== 'same' && padding !== 'valid') || !known)
    return undefined;
  const { window, ...products } = productsOf(fields, padding);

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
    let y: Tensor = products.forward(input, filter);
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
          const filterGradient = products.filterGradient(input, shape, factor);
          context.gradient(weightIndex(kernel), shard, filterGradient);
          filterGradient.dispose();
        }
        // Deferred work runs after the input gradient below, which is the last reader of the filter.
        freeOperands();
        if (factor !== dy) factor.dispose();
        if (dy !== gradient) dy.dispose();
      });
      return needsInputGradient ? products.inputGradient(x.shape, filter, factor) : undefined;
    };
    return [y, backward];
  });
}

/** Disposes an intermediate result once its successor exists. */
function replace(old: Tensor, next: Tensor): Tensor {
  old.dispose();
  return next;
}
