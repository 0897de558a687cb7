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

/** The functions of a definition: a loss by its output ('' for all of them), a metric by its name. */
export interface ObjectiveFunctions {
  readonly losses: ReadonlyMap<string, LossFunction>;
  readonly metrics: ReadonlyMap<string, MetricFunction>;
}

/** Takes the functions out, and leaves plain data for the config's schema to check. */
export function separateFunctions(values: Readonly<Record<string, unknown>>): {
  plain: Record<string, unknown>;
  functions: ObjectiveFunctions;
} {
  const losses = new Map<string, LossFunction>();
  const metrics = new Map<string, MetricFunction>();
  const plainLoss = (loss: unknown, output: string): unknown => {
    if (typeof loss === 'function') {
      losses.set(output, loss as LossFunction);
      return { kind: 'custom' };
    }
    if (!isObject(loss) || typeof loss['compute'] !== 'function') return loss;
    const { compute, ...rest } = loss;
    losses.set(output, compute as LossFunction);
    return { ...rest, kind: 'custom' };
  };
  const plain: Record<string, unknown> = { ...values };
  const { loss, metrics: given } = values;
  if (loss !== undefined) {
    const single = !isObject(loss) || 'kind' in loss || typeof loss['compute'] === 'function';
    plain['loss'] = single
      ? plainLoss(loss, '')
      : Object.fromEntries(Object.entries(loss).map(([output, one]) => [output, plainLoss(one, output)]));
  }
  if (Array.isArray(given)) {
    plain['metrics'] = given.map((metric: unknown): unknown => {
      if (!isObject(metric) || typeof metric['compute'] !== 'function') return metric;
      const { compute, ...rest } = metric;
      metrics.set(String(metric['name']), compute as MetricFunction);
      return { ...rest, kind: 'custom' };
    });
  }
  return { plain, functions: { losses, metrics } };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
