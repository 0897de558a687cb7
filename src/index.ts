/** The public API of the package `lockstep`. */

export { defineTraining } from './api/define-training.js';
export type {
  Augmentation,
  AugmentFunction,
  Callbacks,
  CallbackTools,
  ColumnEncoding,
  ConfigInput,
  DataSource,
  Draws,
  EpochEnd,
  Loss,
  LossFunction,
  Metric,
  MetricFunction,
  ModelContext,
  OutputLoss,
  PicturePreprocessing,
  Prediction,
  Preprocessing,
  SampleToAugment,
  TablePreprocessing,
  Tensorflow,
  TrainingDefinition,
  TrainingOptions,
} from './api/define-training.js';
export { arrays } from './api/data/arrays.js';
export type { ArrayColumn, ArrayColumns, ArraySet, ArraysOptions, NestedNumbers } from './api/data/arrays.js';
export { csv, type CsvOptions } from './api/data/csv.js';
export { holdOut, type HoldOutOptions } from './api/data/hold-out.js';
export { idx, type IdxOptions } from './api/data/idx.js';
export { imageFolder, type ImageFolderOptions } from './api/data/image-folder.js';
export { fromDataset, tensors } from './api/data/tensors.js';
export type {
  ElementSource,
  FromDatasetOptions,
  TensorColumns,
  TensorSet,
  TensorsOptions,
} from './api/data/tensors.js';
export { samples } from './api/data/samples.js';
export type { Sample, SampleSet, SamplesOptions, SampleValues } from './api/data/samples.js';
export type {
  DataSplit,
  SampleBuffers,
  SourceData,
  TensorSpec,
  TensorValues,
  TrainingData,
} from './shared/data/training-data.js';
export { fit, fitDataset } from './api/runs/fit.js';
export type {
  BatchSource,
  FitArguments,
  FitDatasetArguments,
  FitTensors,
  WorkerArguments,
} from './api/runs/fit.js';
export { train, type TrainOptions, type TrainingRun } from './api/runs/train.js';
export { listRuns, loadRun, readEvents } from './api/runs/run.js';
export type { EpochRecord, Evaluation, Run, RunEvent, RunSummary, TimedEvent } from './api/runs/run.js';
export { evaluate, exportModel, predict } from './api/runs/saved.js';
export type { EvaluateOptions, ExportOptions, PredictionEvent, SavedRunOptions } from './api/runs/saved.js';
export { multiHeadAttention, registerLayers } from './api/layers/multi-head-attention.js';
export type { MultiHeadAttentionArguments } from './api/layers/multi-head-attention.js';
export { OperationalError, type ErrorCode } from './shared/errors.js';
