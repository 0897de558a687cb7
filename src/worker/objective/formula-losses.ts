/** Losses with the formulas of tfjs's layers API, which tfjs differentiates. Call inside a tidy. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { FormulaLoss } from '../../shared/config/loss-config.js';
import type { Tensorflow } from '../../api/tensorflow.js';

/** tfjs's `epsilon()`. */
const least = 1e-7;

/** Returns one value per position, without the last dimension of its arguments. */
export type LossFormula = (prediction: Tensor, target: Tensor) => Tensor;

export function lossFormula(tf: Tensorflow, kind: FormulaLoss): LossFormula {
  const margin = (p: Tensor, t: Tensor): Tensor => tf.maximum(0, tf.sub(1, tf.mul(t, p)));
  const atLeast = (x: Tensor): Tensor => tf.clipByValue(x, least, Number.MAX_VALUE);
  switch (kind) {
    case 'hinge':
      return (p, t) => tf.mean(margin(p, t), -1);
    case 'squaredHinge':
      return (p, t) => tf.mean(tf.square(margin(p, t)), -1);
    case 'categoricalHinge':
      return (p, t) => {
        const right = tf.sum(tf.mul(t, p), -1);
        const wrong = tf.max(tf.mul(tf.sub(1, t), p), -1);
        return tf.maximum(0, tf.add(1, tf.sub(wrong, right)));
      };
    case 'logcosh':
      return (p, t) => {
        const error = tf.sub(p, t);
        return tf.mean(tf.sub(tf.add(error, tf.softplus(tf.mul(-2, error))), exactMath.log(2)), -1);
      };
    case 'poisson':
      return (p, t) => tf.mean(tf.sub(p, tf.mul(t, tf.log(tf.add(least, p)))), -1);
    case 'kullbackLeiblerDivergence':
      return (p, t) => {
        const ratio = tf.div(tf.clipByValue(t, least, 1), tf.clipByValue(p, least, 1));
        return tf.sum(tf.mul(t, tf.log(ratio)), -1);
      };
    case 'meanAbsolutePercentageError':
      return (p, t) => tf.mul(100, tf.mean(tf.abs(tf.div(tf.sub(t, p), atLeast(tf.abs(t)))), -1));
    case 'meanSquaredLogarithmicError':
      return (p, t) => {
        const logarithm = (x: Tensor): Tensor => tf.log(tf.add(1, atLeast(x)));
        return tf.mean(tf.square(tf.sub(logarithm(p), logarithm(t))), -1);
      };
    case 'cosineProximity':
      return (p, t) => {
        const unit = (x: Tensor): Tensor =>
          tf.div(x, tf.sqrt(tf.maximum(tf.sum(tf.square(x), -1, true), least)));
        return tf.neg(tf.sum(tf.mul(unit(t), unit(p)), -1));
      };
  }
}
