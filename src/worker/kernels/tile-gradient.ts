/**
 * The gradient of tfjs's `tile`: sums over the repetitions of each axis. tfjs's own adds one slice per repetition, thousands of kernels
 * for LayerNormalization, and has no gradient beyond four axes.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';

const replaced = new WeakSet<Tensorflow>();

/** Replaces the gradient on every backend, once per `tf`. */
export function replaceTileGradient(tf: Tensorflow): void {
  if (replaced.has(tf)) return;
  replaced.add(tf);
  tf.unregisterGradient(tf.Tile);
  tf.registerGradient({
    kernelName: tf.Tile,
    inputsToSave: ['x'],
    gradFunc: (dy, [x], attributes) => ({
      x: () => sumOfTiles(tf, dy as Tensor, x as Tensor, attributes['reps'] as number[]),
    }),
  });
}

function sumOfTiles(tf: Tensorflow, dy: Tensor, { shape }: Tensor, repetitions: readonly number[]): Tensor {
  let outer = 1;
  let sum = dy;
  for (const [axis, repeat] of repetitions.entries()) {
    const size = shape[axis] ?? 1;
    // The axes before this one have been summed.
    if (repeat > 1) sum = tf.sum(tf.reshape(sum, [outer, repeat, sum.size / (outer * repeat)]), 1);
    outer *= size;
  }
  return tf.reshape(sum, [...shape]);
}
