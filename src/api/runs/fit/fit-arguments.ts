/** The arguments of `fit`: those of tfjs's `model.fit`, and what the workers need. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { ClassWeight, ClassWeightMap, CallbackList, CustomCallbackArgs, LayersModel, ModelFitArgs, ModelFitDatasetArgs } from '@tensorflow/tfjs-layers';
import { suggestion } from '../../../shared/config/suggestion.js';
import { ConfigError } from '../../../shared/errors.js';
import type { ConfigInput } from '../../config-input.js';
import { trainedModel } from '../../fit/compiled-functions.js';

/** Inputs or targets: one tensor, a list, or tensors by the names of the model's inputs or outputs. */
export type FitTensors = Tensor | Tensor[] | Readonly<Record<string, Tensor>>;

type Callback = NonNullable<ConstructorParameters<typeof CallbackList>[0]>[number];

/** Fields of the configuration that `fit` takes, besides those that tfjs's arguments determine. */
type WorkerFields = Pick<
  ConfigInput,
  | 'workers'
  | 'minWorkers'
  | 'shards'
  | 'threads'
  | 'engine'
  | 'devices'
  | 'allowSoftwareGpu'
  | 'seed'
  | 'evalBatchSize'
  | 'accumulate'
  | 'clipNorm'
  | 'frozenBatchNorm'
  | 'arithmetic'
  | 'precision'
  | 'gradientDtype'
  | 'bucketBytes'
  | 'sharedMemory'
  | 'balance'
  | 'onMismatch'
  | 'heartbeatMs'
  | 'peerTimeoutMs'
  | 'coordinatorTimeoutMs'
  | 'stepTimeoutMs'
  | 'joinTimeoutMs'
>;

export interface WorkerArguments extends WorkerFields {
  /** Modules that register the classes of custom layers, absolute paths or URLs. Every worker imports them. */
  readonly modules?: readonly (string | URL)[];
  /** Its abort ends the training; the promise rejects with the signal's reason, and the model keeps its last weights. */
  readonly signal?: AbortSignal;
}

export interface FitArguments extends WorkerArguments {
  /** Default 32, as in tfjs. */
  readonly batchSize?: number;
  /** Number of the epoch at which the training ends; default 1, as in tfjs. */
  readonly epochs?: number;
  /** Default 0. */
  readonly initialEpoch?: number;
  /** Default true: the order of `seed`. False: the order of the samples, with the same batches as tfjs. */
  readonly shuffle?: boolean;
  /** Share of the samples, taken from the end, that are the validation set. */
  readonly validationSplit?: number;
  readonly validationData?: readonly [FitTensors, FitTensors];
  /** Called in this process, with tfjs's arguments. At the end of an epoch the model has the weights of the workers. */
  readonly callbacks?: Callback | readonly Callback[] | CustomCallbackArgs | readonly CustomCallbackArgs[];
  /** Weight of each class in the training loss. */
  readonly classWeight?: ClassWeight | ClassWeight[] | ClassWeightMap;
  /** Weight of each sample in the training loss, [samples]; tfjs declares it and does not implement it. */
  readonly sampleWeight?: Tensor;
  /** 1 or 2: prints one line per epoch on stderr; default 0. */
  readonly verbose?: ModelFitArgs['verbose'];
  /** Interval of the callback `onYield`. */
  readonly yieldEvery?: ModelFitArgs['yieldEvery'];
}

export type FitDatasetArguments = WorkerArguments &
  Pick<FitArguments, 'epochs' | 'initialEpoch' | 'callbacks' | 'classWeight' | 'verbose' | 'yieldEvery'> &
  Pick<ModelFitDatasetArgs<never>, 'batchesPerEpoch' | 'validationBatches' | 'validationBatchSize'> & {
    /** Tensors, or a dataset of batches. */
    readonly validationData?: readonly [FitTensors, FitTensors] | BatchSource;
  };

/** The part of a `tf.data.Dataset` that is used: its elements are batches `{ xs, ys }`. */
export interface BatchSource {
  iterator(): Promise<{ next(): Promise<{ value: unknown; done?: boolean }> }>;
}

const workerFields = [
  'workers',
  'minWorkers',
  'shards',
  'threads',
  'engine',
  'devices',
  'allowSoftwareGpu',
  'seed',
  'evalBatchSize',
  'accumulate',
  'clipNorm',
  'frozenBatchNorm',
  'arithmetic',
  'precision',
  'gradientDtype',
  'bucketBytes',
  'sharedMemory',
  'balance',
  'onMismatch',
  'heartbeatMs',
  'peerTimeoutMs',
  'coordinatorTimeoutMs',
  'stepTimeoutMs',
  'joinTimeoutMs',
] as const satisfies readonly (keyof WorkerFields)[];

const ownNames = [
  ...workerFields,
  'modules',
  'signal',
  'batchSize',
  'epochs',
  'initialEpoch',
  'shuffle',
  'validationSplit',
  'validationData',
  'callbacks',
  'classWeight',
  'sampleWeight',
  'verbose',
  'yieldEvery',
];

/** Arguments of tfjs that `fit` does not take, with the remedy. */
const refused: Readonly<Record<string, string>> = {
  stepsPerEpoch: 'tfjs does not implement it for tensors. Leave it out.',
  validationSteps: 'tfjs does not implement it for tensors. Leave it out.',
};

/** @throws ConfigError naming an argument that `fit` does not have, or has another type */
export function checkArguments(args: FitArguments): void {
  for (const name of Object.keys(args)) {
    if (ownNames.includes(name) || (args as Record<string, unknown>)[name] === undefined) continue;
    throw new ConfigError(
      `fit: the argument ${name} has no effect. ${refused[name] ?? suggestion(name, ownNames) ?? `Correct its name: ${ownNames.join(', ')}.`}`,
      { field: name },
    );
  }
  const { batchSize = 32, epochs = 1, initialEpoch = 0, shuffle = true, validationSplit = 0 } = args;
  const wrong = (name: string, expected: string, got: unknown): ConfigError =>
    new ConfigError(`fit: ${name}: expected ${expected}, got ${String(got)}.`, { field: name });
  if (!Number.isInteger(batchSize) || batchSize < 1) throw wrong('batchSize', 'a whole number above 0', batchSize);
  if (!Number.isInteger(epochs) || epochs < 1) throw wrong('epochs', 'a whole number above 0', epochs);
  if (!Number.isInteger(initialEpoch) || initialEpoch < 0 || initialEpoch >= epochs)
    throw wrong('initialEpoch', `a whole number from 0 to ${epochs - 1}`, initialEpoch);
  if (typeof shuffle !== 'boolean')
    throw wrong('shuffle', 'true or false (tfjs does not implement the shuffling of batches either)', shuffle);
  if (!(validationSplit >= 0 && validationSplit < 1))
    throw wrong('validationSplit', 'a number from 0 to below 1', validationSplit);
}

/** Returns the values of configuration fields among the arguments. */
export function fieldsOf(args: WorkerArguments): Record<string, unknown> {
  const given = workerFields.flatMap((name) => (args[name] === undefined ? [] : [[name, args[name]] as const]));
  return Object.fromEntries(given);
}

/** @throws ConfigError unless the model has been compiled and is not being trained */
export function checkModel(model: LayersModel): void {
  const { optimizer_: optimizer } = model as unknown as { readonly optimizer_?: unknown };
  const { isTraining } = trainedModel(model) as unknown as { readonly isTraining?: boolean };
  if (optimizer === undefined || optimizer === null)
    throw new ConfigError('fit: expected a compiled model. Call model.compile({ optimizer, loss, metrics }) first.');
  if (isTraining === true)
    throw new ConfigError('fit: expected a model that is not being trained. Wait for the end of the other call.');
}
