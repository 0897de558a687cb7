/** The counterparts of tfjs's losses and metrics, by name or by function. */

import type { Tensorflow } from '../engine/native.js';

interface LossCounterpart {
  readonly kind: string;
  /** The activation before a loss of probabilities. */
  readonly activation?: 'softmax' | 'sigmoid';
}

const losses: Readonly<Record<string, LossCounterpart>> = {
  categoricalCrossentropy: { kind: 'softmaxCrossEntropy', activation: 'softmax' },
  sparseCategoricalCrossentropy: { kind: 'softmaxCrossEntropy', activation: 'softmax' },
  binaryCrossentropy: { kind: 'binaryCrossEntropy', activation: 'sigmoid' },
  meanSquaredError: { kind: 'meanSquaredError' },
  mse: { kind: 'meanSquaredError' },
  MSE: { kind: 'meanSquaredError' },
  meanAbsoluteError: { kind: 'meanAbsoluteError' },
  mae: { kind: 'meanAbsoluteError' },
  MAE: { kind: 'meanAbsoluteError' },
};

const metrics: Readonly<Record<string, string>> = {
  acc: 'accuracy',
  accuracy: 'accuracy',
  binaryAccuracy: 'accuracy',
  categoricalAccuracy: 'accuracy',
  sparseCategoricalAccuracy: 'accuracy',
  meanSquaredError: 'meanSquaredError',
  mse: 'meanSquaredError',
  MSE: 'meanSquaredError',
  meanAbsoluteError: 'meanAbsoluteError',
  mae: 'meanAbsoluteError',
  MAE: 'meanAbsoluteError',
};

/** Returns undefined for a loss without a counterpart. `name` is tfjs's name of the loss. */
export function lossOfTfjs(
  tf: Tensorflow,
  loss: unknown,
): (LossCounterpart & { readonly name: string }) | undefined {
  if (typeof loss === 'string') {
    const found = Object.hasOwn(losses, loss) ? losses[loss] : undefined;
    return found && { ...found, name: loss };
  }
  const ofLogits: readonly (readonly [unknown, string])[] = [
    [tf.losses.softmaxCrossEntropy, 'softmaxCrossEntropy'],
    [tf.losses.sigmoidCrossEntropy, 'binaryCrossEntropy'],
    [tf.losses.meanSquaredError, 'meanSquaredError'],
    [tf.losses.absoluteDifference, 'meanAbsoluteError'],
    [tf.losses.huberLoss, 'huber'],
  ];
  const found = ofLogits.find(([own]) => own === loss);
  if (found) return { kind: found[1], name: found[1] };
  const name = nameInTfjs(tf, loss);
  return name === undefined ? undefined : lossOfTfjs(tf, name);
}

/** Returns undefined for a metric without a counterpart. */
export function metricOfTfjs(tf: Tensorflow, metric: unknown): string | undefined {
  const name = typeof metric === 'string' ? metric : nameInTfjs(tf, metric);
  return name !== undefined && Object.hasOwn(metrics, name) ? metrics[name] : undefined;
}

/** The name of a function of `tf.metrics`. */
function nameInTfjs(tf: Tensorflow, value: unknown): string | undefined {
  return Object.entries(tf.metrics).find(([, own]) => own === value)?.[0];
}
