/** Loss and metric functions of tfjs per sample, for a model that was compiled with tfjs's names. */

import type { Optimizer, Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import type { LayersModel, ModelCompileArgs } from '@tensorflow/tfjs-layers';
import { ConfigError } from '../../shared/errors.js';
import type { Tensorflow } from '../tensorflow.js';
import type { CompileSpec, FitSpec, NamedFunction } from './fit-spec.js';

/** A loss or a metric of tfjs: values of any shape whose mean is the result. */
export type TfjsFunction = (target: Tensor, prediction: Tensor) => Tensor;

/** The members of a compiled model that hold its functions. */
interface Compiled {
  readonly lossFunctions: readonly TfjsFunction[];
  readonly metricsTensors: readonly (readonly [TfjsFunction, number])[];
}

interface OptimizerClass {
  fromConfig(constructor: unknown, config: object): Optimizer;
}

/** Compiles the model with functions that compute one value per sample. */
export function compile(tf: Tensorflow, model: LayersModel, spec: CompileSpec): Compiled {
  const { className, config } = spec.optimizer;
  const [constructor] = tf.serialization.SerializationMap.getMap().classNameMap[className] ?? [];
  if (!constructor)
    throw new ConfigError(
      `fit: the optimizer ${className} is not registered. Register its class in \`modules\`.`,
    );
  const optimizer = (constructor as unknown as OptimizerClass).fromConfig(constructor, { ...config });
  const named = (one: NamedFunction): unknown => functionOf(tf, one);
  const { loss, metrics } = spec;
  model.compile({
    optimizer,
    loss: (isNamed(loss) ? named(loss) : mapped(loss, named)) as ModelCompileArgs['loss'],
    metrics: mapped(metrics, (value) => (isNamed(value) ? named(value) : value.map(named))) as string[],
  });
  return trainedModel(model);
}

/** Returns the model that tfjs compiles and trains: a Sequential contains another one. */
export function trainedModel(model: LayersModel): LayersModel {
  return (model as { readonly model?: LayersModel }).model ?? model;
}

function isNamed(value: unknown): value is NamedFunction {
  return typeof value === 'string' || (typeof value === 'object' && value !== null && 'from' in value);
}

function mapped<T>(
  values: readonly T[] | Readonly<Record<string, T>>,
  convert: (value: T) => unknown,
): unknown {
  if (Array.isArray(values)) return (values as readonly T[]).map(convert);
  return Object.fromEntries(
    Object.entries(values as Record<string, T>).map(([key, value]) => [key, convert(value)]),
  );
}

function functionOf(tf: Tensorflow, one: NamedFunction): unknown {
  if (typeof one === 'string') return one;
  if (one.from === 'metrics') return (tf.metrics as unknown as Record<string, TfjsFunction>)[one.name];
  return lossesOf(tf)[one.name as LossName];
}

/** Names of `tf.losses` that `fit` takes. */
export const lossNames = [
  'softmaxCrossEntropy',
  'sigmoidCrossEntropy',
  'meanSquaredError',
  'absoluteDifference',
  'huberLoss',
  'hingeLoss',
  'logLoss',
] as const;
type LossName = (typeof lossNames)[number];

/** The functions of `tf.losses` return one number; these return a value per sample or per element. */
function lossesOf(tf: Tensorflow): Readonly<Record<LossName, TfjsFunction>> {
  const { NONE } = tf.Reduction;
  const { losses } = tf;
  return {
    softmaxCrossEntropy: (target, x) => losses.softmaxCrossEntropy(target, x, undefined, 0, NONE),
    sigmoidCrossEntropy: (target, x) => losses.sigmoidCrossEntropy(target, x, undefined, 0, NONE),
    meanSquaredError: (target, x) => losses.meanSquaredError(target, x, undefined, NONE),
    absoluteDifference: (target, x) => losses.absoluteDifference(target, x, undefined, NONE),
    huberLoss: (target, x) => losses.huberLoss(target, x, undefined, 1, NONE),
    hingeLoss: (target, x) => losses.hingeLoss(target, x, undefined, NONE),
    logLoss: (target, x) => losses.logLoss(target, x, undefined, 1e-7, NONE),
  };
}

interface Unpacked {
  readonly target: Tensor;
  /** Undefined without weights. */
  readonly weights: Tensor1D | undefined;
}

/** Separates a batch of targets from the weights of its samples. */
export function unpack(
  tf: Tensorflow,
  packed: Tensor,
  { outputs, weighted }: Pick<FitSpec, 'outputs' | 'weighted'>,
  output: number,
): Unpacked {
  if (!weighted) return { target: packed, weights: undefined };
  const [samples = 0, length = 1] = packed.shape;
  const shape = outputs[output]?.targetShape ?? [];
  const target = tf.reshape(tf.slice(packed, [0, 0], [samples, length - 1]), [samples, ...shape]);
  return { target, weights: tf.reshape(tf.slice(packed, [0, length - 1], [samples, 1]), [samples]) };
}

/**
 * Returns the mean of each sample's values.
 * @param name of the function, for the error
 * @throws ConfigError if the function returns one number for the batch, and the batch is divided into several shards
 */
export function perSample(
  tf: Tensorflow,
  values: Tensor,
  samples: number,
  shards: unknown,
  name: string,
): Tensor1D {
  if (values.rank > 0) {
    if (values.shape[0] !== samples)
      throw new ConfigError(
        `fit: ${name}: expected values for ${samples} samples, got a tensor of ${values.shape.join('x')}.`,
      );
    return tf.mean(tf.reshape(tf.cast(values, 'float32'), [samples, values.size / samples]), 1);
  }
  if (shards === 1) return tf.mul<Tensor1D>(tf.ones([samples]), tf.cast(values, 'float32'));
  throw new ConfigError(
    `fit: ${name} is one number for a whole batch, and each batch is divided into ${String(shards)} shards. Use shards: 1 and ` +
      'workers: 1, or leave it out.',
  );
}
