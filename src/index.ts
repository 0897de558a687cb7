/** The public API of the package `lockstep`. */

export { defineTraining } from './api/define-training.js';
export type { DataSource, ModelContext, TrainingDefinition, TrainingOptions } from './api/define-training.js';
export type { Loss, LossFunction, Metric, MetricFunction, OutputLoss, Prediction } from './api/objective.js';
export type {
  DataSplit,
  SampleBuffers,
  TensorSpec,
  TensorValues,
  TrainingData,
} from './shared/data/training-data.js';
export { OperationalError, type ErrorCode } from './shared/errors.js';
