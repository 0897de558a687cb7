/**
 * Metrics that are computed from counts over all samples: precision, recall, F1 and the area under the receiver operating
 * characteristic. Each shard contributes its counts. They are integers, which the fixed tree adds exactly, so that the metric of a data
 * set has the same bits for any number of shards. `count` runs inside a tidy.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { CountMetricConfig, OutputLossConfig } from '../../shared/config/run-config.js';
import { exactMath } from '../../shared/arithmetic/exact-math.js';
import { ConfigError } from '../../shared/errors.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { OutputForm } from './activation-plan.js';
import { areaUnderCurve, combineClasses, scoreOf } from './count-scores.js';

export interface CountMetric {
  /** Number of counts. */
  readonly width: number;
  /** Returns the counts of some samples. */
  readonly count: (prediction: Tensor, target: Tensor) => Float64Array;
  /** Returns the metric of the sums of all counts. */
  readonly value: (counts: Float64Array) => number;
}

/** One output of the model, for which a metric is computed. */
export interface CountedOutput {
  readonly name: string;
  /** Classes of softmaxCrossEntropy, or values of one sample. */
  readonly units: number;
  readonly loss: OutputLossConfig;
  /** The form of the predictions that the metric receives. */
  readonly form: OutputForm;
}

/** Histograms with more counts than this would take longer to send than the evaluation itself. */
const mostCounts = 2 ** 20;

/** @throws ConfigError if the output has no classes, or not this class */
export function createCountMetric(
  tf: Tensorflow,
  config: CountMetricConfig,
  output: CountedOutput,
): CountMetric {
  const { kind } = config;
  const { name, units, loss } = output;
  if (loss.kind !== 'softmaxCrossEntropy' && loss.kind !== 'binaryCrossEntropy') {
    throw new ConfigError(
      `metrics: ${kind} needs an output "${name}" with the loss softmaxCrossEntropy or binaryCrossEntropy, got ${loss.kind}. ` +
        'Leave it out, or name another output.',
    );
  }
  if (config.class !== undefined && config.class >= units) {
    throw new ConfigError(
      `metrics: expected a class of ${kind} below the ${units} of output "${name}", got ${config.class}.`,
    );
  }
  const classes = loss.kind === 'softmaxCrossEntropy';
  const average = config.average ?? (classes ? 'macro' : 'micro');
  // Counts are kept per class. A single class is selected from them at the end, and so is the average.
  const columns = classes || config.class !== undefined || average !== 'micro' ? units : 1;
  const perColumn = kind === 'auc' ? 2 * config.bins : 3;
  if (columns * perColumn > mostCounts) {
    throw new ConfigError(
      `metrics: expected at most ${mostCounts} counts of ${kind}, got ${columns * perColumn} for ${columns} classes. ` +
        'Use fewer bins, or name one class.',
    );
  }
  const answers = kind === 'auc' ? histogram(config.bins) : decisions;
  const threshold = kind === 'auc' ? 0.5 : config.threshold;
  const read = classes ? ofClasses(tf, kind, output) : ofValues(tf, kind, output, threshold);
  const width = columns * perColumn;
  return {
    width,
    count: (prediction, target) => {
      const counts = new Float64Array(width);
      read(prediction, target, (unit, score, isTrue) =>
        answers(counts, (columns === 1 ? 0 : unit) * perColumn, score, isTrue),
      );
      return counts;
    },
    value: (counts) => {
      const chosen =
        config.class === undefined
          ? counts
          : counts.subarray(config.class * perColumn, (config.class + 1) * perColumn);
      const score = kind === 'auc' ? areaUnderCurve : (one: Float64Array) => scoreOf(kind, one);
      return combineClasses(chosen, perColumn, average, score);
    },
  };
}

/** Receives each value: its class or unit, its probability (or 1 and 0 for a decision), and whether the target is this class. */
type Visit = (unit: number, score: number, isTrue: boolean) => void;
type Read = (prediction: Tensor, target: Tensor, visit: Visit) => void;
type Count = (counts: Float64Array, at: number, score: number, isTrue: boolean) => void;

/** Counts true positives, predicted ones and actual ones. */
const decisions: Count = (counts, at, score, isTrue) => {
  if (score > 0 && isTrue) counts[at] = (counts[at] ?? 0) + 1;
  if (score > 0) counts[at + 1] = (counts[at + 1] ?? 0) + 1;
  if (isTrue) counts[at + 2] = (counts[at + 2] ?? 0) + 1;
};

/** Counts positive and negative samples by the bin of their probability. */
function histogram(bins: number): Count {
  return (counts, at, score, isTrue) => {
    const bin = Math.min(bins - 1, Math.max(0, Math.floor(score * bins)));
    const place = at + (isTrue ? 0 : bins) + bin;
    counts[place] = (counts[place] ?? 0) + 1;
  };
}

/** One class per position: logits or probabilities [..., classes] and class numbers [...]. A label below 0 has no class. */
function ofClasses(tf: Tensorflow, kind: string, { units, form }: CountedOutput): Read {
  return (prediction, target, visit) => {
    const rows = tf.reshape(prediction, [prediction.size / units, units]);
    const labels = target.dataSync<'int32'>();
    if (kind !== 'auc') {
      const predicted = tf.argMax(rows, 1).dataSync<'int32'>();
      labels.forEach((label, i) => {
        if (label < 0) return;
        const answer = predicted[i] ?? 0;
        visit(answer, 1, answer === label);
        if (answer !== label) visit(label, 0, true);
      });
      return;
    }
    const scores = (form === 'probabilities' ? rows : tf.softmax(rows)).dataSync<'float32'>();
    labels.forEach((label, i) => {
      if (label < 0) return;
      for (let unit = 0; unit < units; unit++) visit(unit, scores[i * units + unit] ?? 0, unit === label);
    });
  };
}

/** Independent values of 0 or 1. A probability of exactly the threshold counts as 0. */
function ofValues(tf: Tensorflow, kind: string, { units, form }: CountedOutput, threshold: number): Read {
  const isProbability = form === 'probabilities';
  const limit = isProbability ? threshold : exactMath.log(threshold / (1 - threshold));
  return (prediction, target, visit) => {
    const scores = (
      kind === 'auc' && !isProbability ? tf.sigmoid(prediction) : prediction
    ).dataSync<'float32'>();
    const wanted = tf.cast(target, 'float32').dataSync<'float32'>();
    for (const [i, score] of scores.entries())
      visit(i % units, kind === 'auc' ? score : Number(score > limit), (wanted[i] ?? 0) > 0.5);
  };
}
