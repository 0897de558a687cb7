/**
 * Training definitions: a `lockstep.config.ts` has the default export `defineTraining({ model, ... })`. Its plain values are the
 * run's configuration; its functions run on every worker.
 */

import { fileURLToPath } from 'node:url';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import type { Callbacks } from './callbacks.js';
import type { ConfigInput } from './config-input.js';
import type { Augmentation } from './augment.js';
import type { Loss, Metric } from './objective.js';
import type { Tensorflow } from './tensorflow.js';
import type { Preprocessing } from '../shared/data/preprocessing.js';
import type { SourceData } from '../shared/data/training-data.js';

export type { Augmentation, AugmentFunction, Draws, SampleToAugment } from './augment.js';
export type { Callbacks, CallbackTools, EpochEnd } from './callbacks.js';
export type { ConfigInput } from './config-input.js';
export type { Loss, LossFunction, Metric, MetricFunction, OutputLoss, Prediction } from './objective.js';
export type { Tensorflow } from './tensorflow.js';
export type {
  ColumnEncoding,
  PicturePreprocessing,
  Preprocessing,
  TablePreprocessing,
} from '../shared/data/preprocessing.js';

export interface ModelContext {
  /** The worker's tfjs, to be used instead of an import. */
  readonly tf: Tensorflow;
  /** The run's seed. Initializers without a seed use it as well, so that every worker starts with the same weights. */
  readonly seed: number;
  /**
   * Opens a saved model to continue from its weights: a run's folder, a model's folder or a model.json, relative to the working
   * folder.
   * @throws ModelError naming the file
   */
  readonly loadModel: (path: string) => Promise<LayersModel>;
}

/** A custom data set, loaded once on each worker. */
export interface DataSource<Data extends SourceData = SourceData> {
  /** @param saved the conversion with which a saved model was trained, when the model is evaluated; a source that has one uses it */
  load(saved?: Preprocessing): Promise<Data>;
}

export interface TrainingOptions extends ConfigInput {
  /** Builds the model, once on each worker. All workers must obtain the same weights. */
  readonly model: (context: ModelContext) => LayersModel | Promise<LayersModel>;
  /** A folder with the four IDX files, or a data source; MNIST by default. `--data` takes precedence. */
  readonly data?: string | DataSource;
  /** One loss for every output of the model, or one per output by name; softmaxCrossEntropy by default. */
  readonly loss?: Loss;
  /** Metrics of an evaluation besides the loss: names, `{ kind, ... }`, or functions whose values are averaged over the samples. */
  readonly metrics?: readonly Metric[];
  /** Random changes to each training sample, in order. */
  readonly augment?: readonly Augmentation[];
  /** Functions that are called with the run's events; `Callbacks` documents the process in which they run. */
  readonly callbacks?: readonly Callbacks[];
}

const mark = Symbol.for('lockstep.training');
const place = Symbol.for('lockstep.place');

export interface TrainingDefinition extends TrainingOptions {
  readonly [mark]: true;
  /** File in which `defineTraining` was called; undefined if it is not known. */
  readonly [place]: string | undefined;
}

/** Marks and types a training definition. It is validated when the file is loaded, so that every error names the file. */
export function defineTraining(options: TrainingOptions): TrainingDefinition {
  return Object.freeze({ ...options, [mark]: true as const, [place]: callerOf(new Error()) });
}

/** Returns the file in which the definition was made; undefined if it is not known. */
export function placeOfDefinition(definition: TrainingDefinition): string | undefined {
  return definition[place];
}

/** Returns the file of the second frame of a stack, whose first frame is this file. */
function callerOf({ stack = '' }: Error): string | undefined {
  const [, frame = ''] = stack.split('\n').filter((line) => line.startsWith('    at '));
  const [, url, path] = /(file:\/\/[^()]+?|((?:\/|[A-Za-z]:[\\/])[^()]+?)):\d+:\d+\)?$/.exec(frame) ?? [];
  return path ?? (url === undefined ? undefined : fileURLToPath(url));
}

export function isTrainingDefinition(value: unknown): value is TrainingDefinition {
  return typeof value === 'object' && value !== null && mark in value;
}
