/**
 * The public way to say what is to be trained: a `lockstep.config.ts` whose default export is
 * `defineTraining({ model, ... })`. Plain values in it are the run's config; functions run on every worker.
 */

import type * as tfjs from '@tensorflow/tfjs';
import type { LayersModel } from '@tensorflow/tfjs';
import type { RunConfigInput } from '../shared/config/run-config.js';
import type { Callbacks } from './callbacks.js';
import type { Augmentation } from './augment.js';
import type { Loss, Metric } from './objective.js';
import type { TrainingData } from '../shared/data/training-data.js';

export interface ModelContext {
  /** The worker's tfjs; use this one and no import of your own. */
  readonly tf: typeof tfjs;
  /** The run's seed. Initializers without a seed of their own draw from it as well, so every worker starts alike. */
  readonly seed: number;
  /**
   * Opens a saved model, to go on from its weights: a run's folder, a model's folder or a model.json. Relative to the working folder.
   * @throws ModelError naming the file
   */
  readonly loadModel: (path: string) => Promise<LayersModel>;
}

/** A data set of one's own, loaded once on each worker. */
export interface DataSource {
  load(): Promise<TrainingData>;
}

type Scalars = Omit<RunConfigInput, 'data' | 'loss' | 'metrics' | 'augment'>;

export interface TrainingOptions extends Scalars {
  /** Builds the model. Called once on each worker; all must come to the same weights. */
  readonly model: (context: ModelContext) => LayersModel | Promise<LayersModel>;
  /** A folder of four IDX files, or a source; default MNIST. `--data` takes precedence. */
  readonly data?: string | DataSource;
  /** One for every output of the model, or one for each by its name; default softmaxCrossEntropy. */
  readonly loss?: Loss;
  /** What evaluations tell besides the loss: means over samples. */
  readonly metrics?: readonly Metric[];
  /** Random changes to each training sample, in order. */
  readonly augment?: readonly Augmentation[];
  /** Told what happens; see Callbacks for where they run. */
  readonly callbacks?: readonly Callbacks[];
}

const mark = Symbol.for('lockstep.training');

export interface TrainingDefinition extends TrainingOptions {
  readonly [mark]: true;
}

/** Marks and types a training definition; checks nothing yet, so that every error can name the file. */
export function defineTraining(options: TrainingOptions): TrainingDefinition {
  return Object.freeze({ ...options, [mark]: true as const });
}

export function isTrainingDefinition(value: unknown): value is TrainingDefinition {
  return typeof value === 'object' && value !== null && mark in value;
}
