/** Conv2D on [batch, height, width, channels] with a linear or ReLU activation. Other options are recorded. */

import type { LayerImplementation } from '../layer-op.js';
import { convolutionLayer } from './convolution-layer.js';

export const conv2d: LayerImplementation = (layer, services) => {
  const { kernels } = services;
  return convolutionLayer(layer, services, ({ strides, dilationRate }, padding) => {
    const window = { strides, padding, dilations: dilationRate };
    return {
      window,
      forward: (x, filter) => kernels.conv2d(x, filter, window),
      filterGradient: (x, shape, dy) => kernels.conv2dFilterGradient(x, shape, dy, window),
      inputGradient: (shape, filter, dy) => kernels.conv2dInputGradient(shape, filter, dy, window),
    };
  });
};
