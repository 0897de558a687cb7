/** Layers without weights that have an implementation for speed: ReLU and ReLU6, linear activations, Flatten, pooling. */

import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import { fieldsOf } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';

/** Implements Activation('relu' | 'linear'); other activations are recorded. */
export const activation: LayerImplementation = (layer, services) => {
  const name = layer.getConfig()['activation'];
  if (name === 'relu') return reluOp(services);
  return name === 'linear' ? shardwise((x) => [x.clone(), (dy) => dy.clone()]) : undefined;
};

export const relu: LayerImplementation = (layer, services) => {
  const { maxValue } = fieldsOf<{ maxValue: number | null | undefined }>(layer);
  if (maxValue === 6) return relu6Op(services);
  return maxValue === null || maxValue === undefined ? reluOp(services) : undefined;
};

const reluOp = ({ kernels }: Parameters<LayerImplementation>[1]) =>
  shardwise((x) => {
    const y = kernels.relu(x);
    return [y, (dy) => kernels.reluGradient(dy, y)];
  });

const relu6Op = ({ kernels }: Parameters<LayerImplementation>[1]) =>
  shardwise((x) => {
    const y = kernels.relu6(x);
    return [y, (dy) => kernels.relu6Gradient(dy, y)];
  });

export const flatten: LayerImplementation = (layer, { tf }) => {
  if (layer.getConfig()['dataFormat'] === 'channelsFirst') return undefined;
  return shardwise((x) => {
    const [rows = 0] = x.shape;
    return [tf.reshape(x, [rows, x.size / rows]), (dy) => tf.reshape(dy, x.shape)];
  });
};

interface PoolFields {
  readonly poolSize: [number, number];
  readonly strides: [number, number];
  readonly padding: string;
  readonly dataFormat: string;
}

export const maxPooling2d: LayerImplementation = (layer, { kernels }) => {
  const { poolSize, strides, padding, dataFormat } = fieldsOf<PoolFields>(layer);
  if (dataFormat !== 'channelsLast' || (padding !== 'same' && padding !== 'valid')) return undefined;
  return shardwise((x) => {
    const { y, gradient } = kernels.maxPool(x as Tensor4D, { size: poolSize, strides, padding });
    return [y, (dy) => gradient(dy as Tensor4D)];
  });
};

/**
 * Implements the mean over time, or over height and width. tfjs's gradient multiplies by a tensor of ones that JavaScript fills, as large as
 * the input.
 */
export const globalAveragePooling: LayerImplementation = (layer, { tf }) => {
  if (layer.getConfig()['dataFormat'] === 'channelsFirst') return undefined;
  return shardwise((x) => {
    const sizes = x.shape.slice(1, -1);
    const ones = sizes.map(() => 1);
    const [rows = 0] = x.shape;
    const channels = x.shape.at(-1) ?? 0;
    const places = sizes.reduce((product, size) => product * size, 1);
    const axes = sizes.map((_, i) => i + 1);
    const backward = (dy: Tensor): Tensor => {
      const shares = tf.reshape(tf.div(dy, places), [rows, ...ones, channels]);
      return tf.tile(shares, [1, ...sizes, 1]);
    };
    return [tf.mean(x, axes), backward];
  });
};
