/** The public API of the package `lockstep`. */

export { defineTraining } from './api/define-training.js';
export type { DataSource, ModelContext, TrainingDefinition, TrainingOptions } from './api/define-training.js';
export type { Augmentation, AugmentFunction, Draws, SampleToAugment } from './api/augment.js';
export type { Callbacks, CallbackTools, EpochEnd } from './api/callbacks.js';
export { csv, type CsvOptions } from './api/data/csv.js';
export { holdOut } from './api/data/hold-out.js';
export { idx, type IdxOptions } from './api/data/idx.js';
export { imageFolder, type ImageFolderOptions } from './api/data/image-folder.js';
export { samples } from './api/data/samples.js';
export type { Sample, SampleSet, SamplesOptions, SampleValues } from './api/data/samples.js';
export type { ConfigInput } from './api/config-input.js';
export type { Loss, LossFunction, Metric, MetricFunction, OutputLoss, Prediction } from './api/objective.js';
export type {
  DataSplit,
  SampleBuffers,
  TensorSpec,
  TensorValues,
  TrainingData,
} from './shared/data/training-data.js';
export type {
  ColumnEncoding,
  PicturePreprocessing,
  Preprocessing,
  TablePreprocessing,
} from './shared/data/preprocessing.js';
export type { RunEvent } from './shared/runs/run-events.js';
export { OperationalError, type ErrorCode } from './shared/errors.js';
