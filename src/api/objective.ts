/** Losses and metrics in a training definition: names, plain objects, or functions of one's own. */

import type * as tfjs from '@tensorflow/tfjs';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs';
import type { LossName, MetricInput, OutputLossInput } from '../shared/config/loss-config.js';

/** Of one output and one shard of the batch; the samples are the first dimension of both. */
export interface Prediction {
  /** The worker's tfjs; use this one and no import of your own. */
  readonly tf: typeof tfjs;
  /** What the model gave: logits, where its last layer has no activation. */
  readonly prediction: Tensor;
  readonly target: Tensor;
}

/** Each sample's loss, [samples]; made of differentiable tfjs operations, and of this sample alone. */
export type LossFunction = (context: Prediction) => Tensor1D;
/** Each sample's part of the metric, [samples]; the metric is their mean over the test set. */
export type MetricFunction = (context: Prediction) => Tensor1D;

export type OutputLoss =
  | LossName
  | Exclude<OutputLossInput, { kind: 'custom' }>
  | LossFunction
  | { readonly compute: LossFunction; readonly weight?: number };

/** One for every output, or one for each by the name of its layer; the losses of all outputs are added, times their weights. */
export type Loss = OutputLoss | Readonly<Record<string, OutputLoss>>;

export type Metric =
  | Exclude<MetricInput, { kind: 'custom' }>
  | { readonly name: string; readonly compute: MetricFunction; readonly output?: string };
