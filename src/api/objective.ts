/** Losses and metrics in a training definition: names, plain objects, or custom functions. */

import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { LossName, OutputLossInput } from '../shared/config/loss-config.js';
import type { MetricInput } from '../shared/config/metric-config.js';
import type { TfjsLossName } from '../shared/config/tfjs-names.js';
import type { Tensorflow } from './tensorflow.js';

/** Prediction and target of one output for one shard of the batch; the first dimension of both is the samples. */
export interface Prediction {
  /** The worker's tfjs; use this one and no import of your own. */
  readonly tf: Tensorflow;
  /** Output of the model: logits if its last layer has no activation. */
  readonly prediction: Tensor;
  readonly target: Tensor;
}

/** Returns the loss of each sample, [samples]. It uses differentiable tfjs operations, and a sample's loss depends on that sample only. */
export type LossFunction = (context: Prediction) => Tensor1D;
/** Returns the metric of each sample, [samples]; the metric of a data set is their mean. */
export type MetricFunction = (context: Prediction) => Tensor1D;

export type OutputLoss =
  | LossName
  | TfjsLossName
  | Exclude<OutputLossInput, { kind: 'custom' }>
  | LossFunction
  | { readonly compute: LossFunction; readonly weight?: number };

/** One loss for every output, or one per output by the name of its layer. The total is the weighted sum. */
export type Loss = OutputLoss | Readonly<Record<string, OutputLoss>>;

export type Metric =
  | Exclude<MetricInput, { kind: 'custom' }>
  | { readonly name: string; readonly compute: MetricFunction; readonly output?: string };
