/** Depthwise convolutions by Lockstep's TensorFlow ops (native/depthwise_ops.cc). */

import type { Rank, Tensor4D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Convolution, DepthwiseConvolution } from './kernels.js';
import type { RawOps } from './raw-ops.js';
import { convGeometry } from './wasm/geometry.js';

/** Undefined if the ops do not support the convolution: they take square filters of 3 or 5 pixels without dilation. */
export function ownDepthwise(
  tf: Tensorflow,
  ops: RawOps,
  { filterShape, window }: Convolution,
): DepthwiseConvolution | undefined {
  const [height = 0, width = 0, channels = 0, multiplier] = filterShape;
  const square = height === width && (height === 3 || height === 5);
  if (!square || multiplier !== 1 || window.dilations.some((dilation) => dilation !== 1)) return undefined;
  const geometryOf = (xShape: readonly number[]) => {
    const g = convGeometry(xShape, filterShape, window);
    return tf.tensor1d([g.height, g.width, g.outHeight, g.outWidth, ...g.strides, g.top, g.left], 'int32');
  };
  const taps = (): Tensor4D => tf.zeros([height, width, 1, 1]);
  return {
    forward: (x, filter) => ops.one<Tensor4D>('LockstepDepthwise', [], [x, filter, geometryOf(x.shape)]),
    inputGradient: (xShape, filter, dy) =>
      ops.one<Tensor4D>('LockstepDepthwiseInputGradient', [], [dy, filter, geometryOf(xShape)]),
    filterGradient: (x, dy) => {
      const inputs = [x, dy, geometryOf(x.shape), taps()];
      const gradient = ops.one('LockstepDepthwiseFilterGradient', [], inputs);
      return tf.reshape<Rank.R4>(gradient, [height, width, channels, 1]);
    },
  };
}
