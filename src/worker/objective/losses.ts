/**
 * Losses: the sum over samples and its gradient by the prediction. A sample's loss is the mean over its values, which equals
 * PyTorch's `reduction='mean'` for samples of one size. Call inside a tidy.
 */

import type { Rank, Tensor } from '@tensorflow/tfjs-core';
import type { LossFunction } from '../../api/objective.js';
import type { OutputLossConfig } from '../../shared/config/run-config.js';
import { ModelError } from '../../shared/errors.js';
import { inUserCode } from '../../shared/user-code.js';
import { withoutMathRandom } from '../random/math-random.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Kernels } from '../kernels/kernels.js';
import { lossFormula } from './formula-losses.js';
import type { OutputForm } from './activation-plan.js';
import { checkPerSample } from './check-per-sample.js';

/** Loss of one output on one shard. */
export interface LossResult {
  /** Sum over the shard's samples, in float64 and in their order. */
  readonly sum: number;
  /** Gradient of that sum, with the shape of the prediction. */
  readonly gradient: Tensor;
}

/** The first dimension of both arguments is that of the samples. */
export type Loss = (prediction: Tensor, target: Tensor) => LossResult;

export function createLoss(
  tf: Tensorflow,
  kernels: Kernels,
  config: OutputLossConfig,
  custom: LossFunction | undefined,
  form: OutputForm = 'asIs',
): Loss {
  if (form === 'probabilities') return fromProbabilities(tf, config);
  switch (config.kind) {
    case 'softmaxCrossEntropy':
      return softmaxCrossEntropy(tf, kernels, config.labelSmoothing);
    case 'binaryCrossEntropy':
      return elementwise(tf, (x, t) => ({
        // log(1 + exp(-|x|)) + max(x, 0) - x * t, which does not overflow.
        losses: tf.add(tf.log1p(tf.exp(tf.neg(tf.abs(x)))), tf.sub(tf.relu(x), tf.mul(x, t))),
        gradient: tf.sub(tf.sigmoid(x), t),
      }));
    case 'meanSquaredError':
      return elementwise(tf, (x, t) => {
        const error = tf.sub(x, t);
        return { losses: tf.square(error), gradient: tf.mul(error, 2) };
      });
    case 'meanAbsoluteError':
      return elementwise(tf, (x, t) => {
        const error = tf.sub(x, t);
        return { losses: tf.abs(error), gradient: tf.sign(error) };
      });
    case 'huber':
      return elementwise(tf, (x, t) => {
        const error = tf.sub(x, t);
        const inside = tf.clipByValue(error, -config.delta, config.delta);
        // e^2 / 2 for |e| <= delta, else delta * (|e| - delta / 2).
        return { losses: tf.mul(inside, tf.sub(error, tf.mul(inside, 0.5))), gradient: inside };
      });
    case 'custom':
      return customLoss(tf, custom);
    default: {
      const formula = lossFormula(tf, config.kind);
      return differentiated(tf, (p, t) => formula(p, tf.reshape(tf.cast(t, 'float32'), p.shape)));
    }
  }
}

/** The least distance of a probability from 0 and 1 under a logarithm, as in tfjs. */
const leastProbability = 1e-7;

/** The cross-entropies of probabilities instead of logits, with tfjs's formulas. */
function fromProbabilities(tf: Tensorflow, config: OutputLossConfig): Loss {
  const clipped = (p: Tensor): Tensor => tf.clipByValue(p, leastProbability, 1 - leastProbability);
  const entropyOf = (p: Tensor, target: Tensor): Tensor => {
    const classes = p.shape.at(-1) ?? 1;
    if (config.kind === 'softmaxCrossEntropy') {
      const smoothing = config.labelSmoothing;
      const hot = tf.reshape(tf.oneHot(tf.cast(tf.reshape(target, [-1]), 'int32'), classes), p.shape);
      const wanted = tf.add(tf.mul(hot, 1 - smoothing), smoothing / classes);
      return tf.neg(tf.sum(tf.mul(wanted, tf.log(clipped(p))), -1));
    }
    const wanted = tf.reshape(tf.cast(target, 'float32'), p.shape);
    const [own, other] = [tf.log(clipped(p)), tf.log(tf.sub(1, clipped(p)))];
    return tf.neg(tf.add(tf.mul(wanted, own), tf.mul(tf.sub(1, wanted), other)));
  };
  return differentiated(tf, entropyOf);
}

/** The loss of a formula that returns one value per position of a sample; a sample's loss is their mean. */
function differentiated(tf: Tensorflow, formula: (prediction: Tensor, target: Tensor) => Tensor): Loss {
  return (prediction, target) => {
    const [samples = 1] = prediction.shape;
    let total = Number.NaN;
    const { grad } = tf.valueAndGrad((p: Tensor) => {
      const losses = formula(p, target);
      const values = losses.size / samples;
      total = sum(losses) / values;
      return tf.mul(tf.sum(losses), 1 / values);
    })(prediction);
    return { sum: total, gradient: grad };
  };
}

/** Sums in float64, in order. */
export function sum(values: Tensor): number {
  return values.dataSync<'float32'>().reduce((total, value) => total + value, 0);
}

/** Cross-entropy of class indices [samples, ...] and logits [samples, ..., classes]. */
function softmaxCrossEntropy(tf: Tensorflow, kernels: Kernels, smoothing: number): Loss {
  return (prediction, target) => {
    const classes = prediction.shape.at(-1) ?? 1;
    const rows = prediction.size / classes;
    const [samples = 1] = prediction.shape;
    const places = rows / samples;
    const logits = tf.reshape<Rank.R2>(prediction, [rows, classes]);
    const labels = tf.reshape<Rank.R1>(target, [rows]);
    const { losses, gradient } = kernels.softmaxCrossEntropy(logits, labels);
    const shaped = (tensor: Tensor): Tensor =>
      tf.reshape(places === 1 ? tensor : tf.mul(tensor, 1 / places), prediction.shape);
    if (smoothing === 0) return { sum: sum(losses) / places, gradient: shaped(gradient) };
    // (1 - s) * loss(target) + s * mean over classes of loss(class)
    const spread = tf.neg(tf.mean(tf.logSoftmax(logits), 1));
    const mixed = tf.add(tf.mul(losses, 1 - smoothing), tf.mul(spread, smoothing));
    const towards = tf.sub(tf.oneHot(labels, classes), 1 / classes);
    return { sum: sum(mixed) / places, gradient: shaped(tf.add(gradient, tf.mul(towards, smoothing))) };
  };
}

/** Loss of targets with the shape of the prediction. */
function elementwise(
  tf: Tensorflow,
  body: (prediction: Tensor, target: Tensor) => { losses: Tensor; gradient: Tensor },
): Loss {
  return (prediction, target) => {
    const [samples = 1] = prediction.shape;
    const values = prediction.size / samples;
    const { losses, gradient } = body(prediction, tf.reshape(tf.cast(target, 'float32'), prediction.shape));
    return { sum: sum(losses) / values, gradient: values === 1 ? gradient : tf.mul(gradient, 1 / values) };
  };
}

const drawsRandom =
  'loss: the function draws random numbers, which would depend on the worker. Draw them in the data, which has a seed.';

/** Evaluates a function of the definition; tfjs differentiates it, one shard at a time. */
function customLoss(tf: Tensorflow, custom: LossFunction | undefined): Loss {
  if (!custom) throw new ModelError('loss: expected a function in the training definition, got none.');
  return (prediction, target) => {
    const [samples = 0] = prediction.shape;
    let total = Number.NaN;
    const body = (x: Tensor): Tensor => {
      const losses = withoutMathRandom(drawsRandom, () => custom({ tf, prediction: x, target }));
      checkPerSample(losses, samples, 'loss', 'Take means over all dimensions but the first.');
      total = sum(losses);
      return tf.sum(losses);
    };
    const { grad } = inUserCode('loss', () => tf.valueAndGrad(body)(prediction));
    return { sum: total, gradient: grad };
  };
}
