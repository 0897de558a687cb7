/** The computation of MultiHeadAttention with tfjs's functions. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../tensorflow.js';
import { attentionMask, type InputMasks } from './attention-mask.js';

type Shape = readonly (number | null)[];

/** A weight of a layer. */
export interface Variable {
  readonly shape: Shape;
  readonly trainable: boolean;
  read(): Tensor;
}

export interface Projection {
  readonly kernel: Variable;
  readonly bias: Variable | null;
}

/** Multiplies the last axes of `x` by a kernel [..., outputs]: [features, heads, size], or [heads, size, features]. */
export function project(tf: Tensorflow, x: Tensor, { kernel, bias }: Projection): Tensor {
  const [samples = 0, steps = 0] = x.shape;
  const inputs = x.size / (samples * steps);
  const weights = kernel.read();
  const outputs = weights.size / inputs;
  const product = tf.matMul(tf.reshape(x, [samples * steps, inputs]), tf.reshape(weights, [inputs, outputs]));
  const sum = bias ? tf.add(product, tf.reshape(bias.read(), [outputs])) : product;
  const head = weights.shape[0] === inputs ? weights.shape.slice(1) : weights.shape.slice(2);
  return tf.reshape(sum, [samples, steps, ...head]);
}

export interface AttendOptions {
  readonly keyDim: number;
  readonly useCausalMask: boolean;
  readonly masks: InputMasks;
  /** The dropout of this call. */
  readonly rate: number;
}

/** @param projected query, key and value, [samples, steps, heads, size]; returns [samples, queries, heads, size] */
export function attend(tf: Tensorflow, projected: readonly Tensor[], options: AttendOptions): Tensor {
  const { keyDim, useCausalMask, masks, rate } = options;
  const [query, key, value] = projected.map((x) => tf.transpose(x, [0, 2, 1, 3])) as [Tensor, Tensor, Tensor];
  const [samples = 0, , queries = 0] = query.shape;
  const keys = key.shape[2] ?? 0;
  const scores = tf.matMul(tf.mul(query, 1 / Math.sqrt(keyDim)), key, false, true);
  const padding = attentionMask(tf, masks, [samples, queries, keys]);
  const causal = useCausalMask ? tf.linalg.bandPart(tf.ones([queries, keys]), -1, 0) : undefined;
  const given = [...(padding ? [tf.expandDims(padding, 1)] : []), ...(causal ? [causal] : [])];
  const softmax = (): Tensor => {
    if (given.length === 0) return tf.softmax(scores);
    const allowed = given.reduce((product, mask) => tf.mul(product, mask));
    return tf.mul(tf.softmax(tf.add(scores, tf.mul(tf.sub(allowed, 1), 1e9))), allowed);
  };
  const weights = rate > 0 ? tf.dropout(softmax(), rate) : softmax();
  return tf.transpose(tf.matMul(weights, value), [0, 2, 1, 3]);
}
