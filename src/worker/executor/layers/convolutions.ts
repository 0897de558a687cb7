/** Layers of convolutions that have an implementation of Lockstep's own, by class name. */

import type { LayerImplementation } from '../layer-op.js';
import { conv2d } from './conv2d.js';
import { conv2dTranspose } from './conv2d-transpose.js';
import { depthwiseConv2d } from './depthwise-conv2d.js';

export const convolutions: Readonly<Record<string, LayerImplementation>> = {
  Conv2D: conv2d,
  Conv2DTranspose: conv2dTranspose,
  DepthwiseConv2D: depthwiseConv2d,
};
