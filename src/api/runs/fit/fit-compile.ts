/** Describes what `model.compile` was given, for the workers, which compile their model in the same way. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { ConfigError } from '../../../shared/errors.js';
import type { Tensorflow } from '../../tensorflow.js';
import { lossNames } from '../../fit/compiled-functions.js';
import type { CompileSpec, FitSpec, NamedFunction } from '../../fit/fit-spec.js';

/** The members of a compiled model. */
interface Compiled {
  readonly optimizer_: CompiledOptimizer;
  readonly loss: unknown;
  readonly metrics: unknown;
  readonly metricsTensors: readonly (readonly [unknown, number])[];
  getDedupedMetricsNames(): string[];
}

export interface CompiledOptimizer {
  readonly iterations: number;
  getClassName(): string;
  getConfig(): Record<string, unknown>;
}

export interface CompileDescription extends Pick<FitSpec, 'compile' | 'metrics'> {
  /** tfjs's names of the loss and of the metrics, in its order. */
  readonly labels: readonly string[];
}

/** @throws ConfigError for a function that cannot be sent to the workers */
export function describeCompile(tf: Tensorflow, model: LayersModel, shards: unknown): CompileDescription {
  const compiled = model as unknown as Compiled;
  const { optimizer_: optimizer, loss, metrics } = compiled;
  const named = (what: string) => (value: unknown) => nameOf(tf, value, what);
  const compile: CompileSpec = {
    optimizer: { className: optimizer.getClassName(), config: optimizer.getConfig() },
    loss: each(loss, named('loss')) as CompileSpec['loss'],
    metrics: metricsOf(metrics, named('metric')) as CompileSpec['metrics'],
  };
  checkMetrics(compile.metrics, shards);
  return {
    compile,
    metrics: compiled.metricsTensors.map(([, output]) => ({ output })),
    labels: compiled.getDedupedMetricsNames(),
  };
}

/** The optimizer of a compiled model. */
export const optimizerOf = (model: LayersModel): CompiledOptimizer => (model as unknown as Compiled).optimizer_;

function each(value: unknown, convert: (value: unknown) => unknown): unknown {
  if (Array.isArray(value)) return value.map(convert);
  if (typeof value !== 'object' || value === null) return convert(value);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, convert(one)]));
}

function metricsOf(metrics: unknown, convert: (value: unknown) => unknown): unknown {
  if (metrics === undefined || metrics === null) return [];
  if (typeof metrics === 'string' || typeof metrics === 'function') return [convert(metrics)];
  return each(metrics, (value) => (Array.isArray(value) ? value.map(convert) : convert(value)));
}

/** @throws ConfigError for a function of the user's own */
function nameOf(tf: Tensorflow, value: unknown, what: string): NamedFunction {
  if (typeof value === 'string') return value;
  const metric = Object.entries(tf.metrics).find(([, own]) => own === value)?.[0];
  if (metric !== undefined) return { from: 'metrics', name: metric };
  const loss = Object.entries(tf.losses).find(([, own]) => own === value)?.[0];
  if (what === 'loss' && loss !== undefined && (lossNames as readonly string[]).includes(loss))
    return { from: 'losses', name: loss };
  throw new ConfigError(
    `fit: the ${what} is a function, which cannot be sent to the worker processes. Compile the model with tfjs's name of the ` +
      `${what}, or with a function of tf.metrics${what === 'loss' ? ` or tf.losses (${lossNames.join(', ')})` : ''}; or move ` +
      `model, data and ${what} to a training definition, and call train().`,
  );
}

/** Metrics that are one number for a batch, which is no mean over its samples. */
const ofBatches = ['precision', 'recall', 'r2Score'];

/** @throws ConfigError for a metric that shards cannot compute */
function checkMetrics(metrics: CompileSpec['metrics'], shards: unknown): void {
  if (shards === 1) return;
  const all: readonly NamedFunction[] = Object.values(metrics).flat();
  const found = all.map((one) => (typeof one === 'string' ? one : one.name)).find((name) => ofBatches.includes(name));
  if (found === undefined) return;
  throw new ConfigError(
    `fit: the metric ${found} is one number for a whole batch, and each batch is divided into shards. Use workers: 1 and ` +
      'shards: 1, leave it out, or call train(), which computes it over the whole test set.',
    { metric: found },
  );
}
