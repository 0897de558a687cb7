/** The counterparts of tfjs's losses and metrics, by name or by function. */

import { lossOfTfjsName, metricOfTfjsName } from '../../shared/config/tfjs-names.js';
import type { Tensorflow } from '../../api/tensorflow.js';

export interface TakenLoss {
  readonly kind: string;
  /** The activation before a loss of probabilities. */
  readonly activation?: 'softmax' | 'sigmoid';
  /** tfjs's name of the loss. */
  readonly name: string;
}

/** Returns undefined for a loss without a counterpart. */
export function lossOfTfjs(tf: Tensorflow, loss: unknown): TakenLoss | undefined {
  if (typeof loss === 'string') {
    const found = lossOfTfjsName(loss);
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
  return name === undefined ? undefined : metricOfTfjsName(name);
}

/** The name of a function of `tf.metrics`. */
function nameInTfjs(tf: Tensorflow, value: unknown): string | undefined {
  return Object.entries(tf.metrics).find(([, own]) => own === value)?.[0];
}
