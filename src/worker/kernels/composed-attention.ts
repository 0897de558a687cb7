/** Attention composed from tfjs functions, for engines without an op for it. */

import type { Tensor, Tensor4D } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { AttentionInputs, AttentionPass } from './attention.js';

export function composedAttention(tf: Tensorflow, inputs: AttentionInputs): AttentionPass {
  const perHead = (x: Tensor): Tensor4D => tf.transpose(x as Tensor4D, [0, 2, 1, 3]);
  const { scale, dropout } = inputs;
  const query = tf.mul(perHead(inputs.query), scale);
  const [key, value] = [perHead(inputs.key), perHead(inputs.value)];
  const dropped = (x: Tensor): Tensor => (dropout ? tf.mul(x, dropout) : x);
  const probabilities = softmax(tf, tf.matMul(query, key, false, true), allowedKeys(tf, inputs));
  const weights = dropped(probabilities);
  return {
    y: perHead(tf.matMul(weights, value)),
    gradients: (dy) => {
      const gradient = perHead(dy);
      const dProbabilities = tf.mul(dropped(tf.matMul(gradient, value, false, true)), probabilities);
      const dScores = tf.sub(dProbabilities, tf.mul(probabilities, tf.sum(dProbabilities, -1, true)));
      return {
        query: perHead(tf.mul(tf.matMul(dScores, key), scale)),
        key: perHead(tf.matMul(dScores, query, true, false)),
        value: perHead(tf.matMul(weights, gradient, true, false)),
      };
    },
  };
}

/** Returns 1 for the keys that a query may attend to, else 0, in a shape that can be broadcast; undefined for all keys. */
function allowedKeys(tf: Tensorflow, { query, key, mask, causal }: AttentionInputs): Tensor | undefined {
  const padding = mask && tf.expandDims(mask, 1);
  if (!causal) return padding;
  const triangle = tf.linalg.bandPart(tf.ones([query.shape[1], key.shape[1]]), -1, 0);
  return padding ? tf.mul(padding, triangle) : triangle;
}

/** The softmax over the last axis and the allowed keys; 0 in a row without one. */
function softmax(tf: Tensorflow, scores: Tensor, allowed: Tensor | undefined): Tensor {
  // Keras's large negative number: its exponential is 0.
  const kept = allowed ? tf.add(scores, tf.mul(tf.sub(allowed, 1), 1e9)) : scores;
  const powers = tf.exp(tf.sub(kept, tf.max(kept, -1, true)));
  const probabilities = tf.div(powers, tf.sum(powers, -1, true));
  return allowed ? tf.mul(probabilities, allowed) : probabilities;
}
