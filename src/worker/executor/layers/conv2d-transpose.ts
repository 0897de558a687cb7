/**
 * Conv2DTranspose on [batch, height, width, channels] with a linear or ReLU activation. It is the input gradient of a convolution
 * from its output to its input, and its gradients are that convolution and its filter gradient. Other options are recorded.
 */

import type { ConvWindow } from '../../kernels/kernels.js';
import type { LayerImplementation } from '../layer-op.js';
import { convolutionLayer } from './convolution-layer.js';

export const conv2dTranspose: LayerImplementation = (layer, services) => {
  const { kernels } = services;
  return convolutionLayer(layer, services, ({ strides }, padding) => {
    // tfjs ignores the dilation rate of this layer.
    const window: ConvWindow = { strides, padding, dilations: [1, 1] };
    return {
      window,
      forward: (x, filter) => {
        const [images, height, width] = x.shape;
        const [kernelHeight, kernelWidth, channels] = filter.shape;
        const shape = [
          images,
          outputSize(height, kernelHeight, strides[0], padding),
          outputSize(width, kernelWidth, strides[1], padding),
          channels,
        ];
        return kernels.conv2dInputGradient(shape, filter, x, window);
      },
      filterGradient: (x, shape, dy) => kernels.conv2dFilterGradient(dy, shape, x, window),
      inputGradient: (_, filter, dy) => kernels.conv2d(dy, filter, window),
    };
  });
};

/** Returns the size of the output along one axis, as tfjs's `deconvLength` does. */
function outputSize(size: number, kernelSize: number, stride: number, padding: string): number {
  return size * stride + (padding === 'valid' ? Math.max(kernelSize - stride, 0) : 0);
}
