/**
 * A dilated convolution as one without dilations: its filter has zeros between its elements. tfjs's kernels of the gradients of a
 * convolution ignore dilations.
 */

import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { ConvWindow } from './kernels.js';

type Dilations = ConvWindow['dilations'];
type Shape = [number, number, number, number];

const spreadSize = (size: number, dilation: number): number => (size - 1) * dilation + 1;

/** Returns the shape of the filter with zeros; `shape` is [height, width, inputChannels, outputChannels]. */
export function spreadShape(shape: readonly number[], dilations: Dilations): Shape {
  const [height = 1, width = 1, inputs = 1, outputs = 1] = shape;
  return [spreadSize(height, dilations[0]), spreadSize(width, dilations[1]), inputs, outputs];
}

/** Returns the filter with zeros between its elements. Must run inside a tidy. */
export function spreadFilter(tf: Tensorflow, filter: Tensor4D, dilations: Dilations): Tensor4D {
  const [height, width, inputs, outputs] = filter.shape;
  const shape = spreadShape(filter.shape, dilations);
  const rows = spreadAxis(tf, tf.reshape(filter, [1, height, width * inputs * outputs]), dilations[0]);
  const columns = tf.reshape(rows, [shape[0], width, inputs * outputs]);
  return tf.reshape(spreadAxis(tf, columns, dilations[1]), shape);
}

/** Puts dilation - 1 zeros between the elements of the second of three axes. */
function spreadAxis(tf: Tensorflow, x: Tensor, dilation: number): Tensor {
  if (dilation === 1) return x;
  const [before = 1, size = 1, after = 1] = x.shape;
  const padded = tf.pad(tf.reshape(x, [before, size, 1, after]), [
    [0, 0],
    [0, 0],
    [0, dilation - 1],
    [0, 0],
  ]);
  const joined = tf.reshape(padded, [before, size * dilation, after]);
  return tf.slice(joined, [0, 0, 0], [before, spreadSize(size, dilation), after]);
}

/** Returns the elements of a filter with zeros, or of its gradient, that `spreadFilter` has put there. */
export function withoutZeros(tf: Tensorflow, spread: Tensor4D, dilations: Dilations): Tensor4D {
  if (dilations.every((dilation) => dilation === 1)) return spread;
  return tf.stridedSlice(spread, [0, 0, 0, 0], spread.shape, [...dilations, 1, 1]) as Tensor4D;
}
