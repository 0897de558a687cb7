/**
 * Metrics that are means over samples: each shard contributes a sum, and the sums are added in the fixed tree. count-metrics.ts has
 * those that are computed from counts. Call inside a tidy.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { MetricFunction } from '../../api/objective.js';
import type { MeanMetricConfig } from '../../shared/config/metric-config.js';
import type { OutputLossConfig } from '../../shared/config/run-config.js';
import { ModelError } from '../../shared/errors.js';
import { inUserCode } from '../../shared/user-code.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { OutputForm, PlannedOutput } from './activation-plan.js';
import { checkPerSample } from './check-per-sample.js';
import { sum } from './losses.js';

/** Returns the sum over the samples. */
export type Metric = (prediction: Tensor, target: Tensor) => number;

export function createMetric(
  tf: Tensorflow,
  config: MeanMetricConfig,
  loss: OutputLossConfig,
  custom: MetricFunction | undefined,
  { form, activation }: PlannedOutput = { form: 'asIs', activation: 'linear' },
): Metric {
  const metric = metricOf(tf, config, loss, custom, form);
  if (form !== 'logits' || config.kind === 'accuracy' || config.kind === 'topK') return metric;
  // Every other metric is about the model's own output.
  const activate = activation === 'softmax' ? tf.softmax : tf.sigmoid;
  return (prediction, target) => metric(activate(prediction), target);
}

function metricOf(
  tf: Tensorflow,
  config: MeanMetricConfig,
  loss: OutputLossConfig,
  custom: MetricFunction | undefined,
  form: OutputForm,
): Metric {
  switch (config.kind) {
    case 'accuracy':
      if (loss.kind === 'softmaxCrossEntropy') return topK(tf, 1);
      return binaryAccuracy(tf, form === 'probabilities' ? 0.5 : 0);
    case 'topK':
      return topK(tf, config.k);
    case 'meanAbsoluteError':
      return ofErrors(tf, (error) => tf.abs(error));
    case 'meanSquaredError':
      return ofErrors(tf, (error) => tf.square(error));
    case 'custom':
      return customMetric(tf, config.name, custom);
  }
}

/** Returns 1 where a target's logit is among the k highest; ties go to the lower class, as in argMax. */
function topK(tf: Tensorflow, k: number): Metric {
  return (prediction, target) => {
    const classes = prediction.shape.at(-1) ?? 1;
    const logits = tf.reshape(prediction, [prediction.size / classes, classes]);
    const labels = tf.reshape(target, [-1]);
    const [samples = 1] = prediction.shape;
    const places = labels.size / samples;
    if (k === 1) return sum(tf.equal(tf.argMax(logits, 1), labels)) / places;
    const own = tf.sum(tf.mul(logits, tf.oneHot(tf.cast(labels, 'int32'), classes)), 1, true);
    const lower = tf.less(tf.range(0, classes, 1, 'int32'), tf.reshape(labels, [-1, 1]));
    const ahead = tf.logicalOr(tf.greater(logits, own), tf.logicalAnd(tf.equal(logits, own), lower));
    return sum(tf.less(tf.sum(tf.cast(ahead, 'int32'), 1), k)) / places;
  };
}

/** A value above `threshold` is class 1: 0 for logits, 0.5 for probabilities. */
function binaryAccuracy(tf: Tensorflow, threshold: number): Metric {
  return (prediction, target) => {
    const wanted = tf.greater(tf.reshape(tf.cast(target, 'float32'), prediction.shape), 0.5);
    const right = tf.equal(tf.greater(prediction, threshold), wanted);
    const [samples = 1] = prediction.shape;
    return (sum(right) * samples) / prediction.size;
  };
}

function ofErrors(tf: Tensorflow, body: (error: Tensor) => Tensor): Metric {
  return (prediction, target) => {
    const [samples = 1] = prediction.shape;
    const values = prediction.size / samples;
    const error = tf.sub(prediction, tf.reshape(tf.cast(target, 'float32'), prediction.shape));
    return sum(body(error)) / values;
  };
}

function customMetric(tf: Tensorflow, name: string, custom: MetricFunction | undefined): Metric {
  if (!custom) throw new ModelError(`metrics: expected a function for "${name}", got none.`);
  return (prediction, target) => {
    const [samples = 0] = prediction.shape;
    const values = inUserCode(`metrics "${name}"`, () => custom({ tf, prediction, target }));
    const remedy = "A metric is a mean over samples; return each sample's part.";
    checkPerSample(values, samples, `metrics "${name}"`, remedy);
    return sum(values);
  };
}
