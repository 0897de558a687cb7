/**
 * The schema of a run's configuration. Each field is defined once, in `fields/`, with its type, default and metadata. Values
 * that are not plain data (the model, a custom data source) belong to the training definition; see src/api.
 */

import { z } from 'zod';
import { communicationFields } from './fields/communication-fields.js';
import { dataFields } from './fields/data-fields.js';
import { evaluationFields } from './fields/evaluation-fields.js';
import { recoveryFields } from './fields/recovery-fields.js';
import { trainingFields } from './fields/training-fields.js';
import { workerFields } from './fields/worker-fields.js';
import { positiveInt } from './numbers.js';

/** Fields by subject, in the order of the documentation. */
export const fieldGroups = {
  Training: trainingFields,
  Data: dataFields,
  Workers: workerFields,
  Communication: communicationFields,
  'Evaluation and logs': evaluationFields,
  'Checkpoints and failures': recoveryFields,
};

/** Everything that a worker needs to compute its part. The coordinator sends it, and it is stored with the run. */
export const runConfigSchema = z.strictObject({
  ...trainingFields,
  ...dataFields,
  ...workerFields,
  ...communicationFields,
  ...evaluationFields,
  ...recoveryFields,
});

export type RunConfig = Readonly<z.infer<typeof runConfigSchema>>;
export type RunConfigInput = z.input<typeof runConfigSchema>;
export type ConfigField = keyof RunConfig;
export type { OptimizerConfig } from './optimizer-config.js';
export type { EarlyStoppingConfig, ScheduleConfig, WarmupConfig } from './schedule-config.js';
export type { CountMetricConfig, MeanMetricConfig, MetricConfig, MetricObject } from './metric-config.js';
export type Precision = RunConfig['precision'];
export type { LossConfig, LossName, OutputLossConfig } from './loss-config.js';

/** A run configuration in which the numbers of workers, shards and threads are decided. */
export const resolvedConfigSchema = runConfigSchema.extend({
  shards: positiveInt(4096),
  workers: positiveInt(1024),
  threads: positiveInt(1024),
});
export type ResolvedConfig = Readonly<z.infer<typeof resolvedConfigSchema>>;

/** The fields that `model.compile` of a definition can choose. */
export const compiledFieldsSchema = resolvedConfigSchema.pick({
  optimizer: true,
  schedule: true,
  loss: true,
  metrics: true,
});
export type CompiledFields = Readonly<z.infer<typeof compiledFieldsSchema>>;

export function compiledFieldsOf({ optimizer, schedule, loss, metrics }: ResolvedConfig): CompiledFields {
  return { optimizer, schedule, loss, metrics };
}
