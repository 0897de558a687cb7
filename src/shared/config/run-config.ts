/**
 * The one schema of a run's configuration: names, types, units, defaults and reasons. The README's table, the command
 * line's options and the checks all come from here. What isn't plain data (the model, a custom data source) is in the
 * training definition; see src/api.
 */

import { z } from 'zod';
import { intervalPattern, stepIntervalPattern } from './interval.js';
import { augmentSchema } from './augment-config.js';
import { lossSchema, metricSchema } from './loss-config.js';
import { finite, positiveInt } from './numbers.js';
import { averageSchema, optimizerSchema } from './optimizer-config.js';
import { earlyStoppingSchema, scheduleSchema, warmupSchema } from './schedule-config.js';

/** Exactly what a worker needs to know to compute its part: sent by the coordinator, stored with the run. */
export const runConfigSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[\w .-]{1,64}$/, 'must be 1 to 64 letters, digits, spaces, dots or dashes')
    .default('training')
    .describe('what the run is called in logs'),
  seed: z
    .int()
    .min(0)
    .max(0xffffffff)
    .default(1)
    .describe('every random draw of the run: initial weights, shuffles, dropout'),
  epochs: positiveInt(1_000_000).default(3).describe('passes over the training set'),
  maxSteps: positiveInt(0xffffffff).nullable().default(null).describe('stop after so many steps in total'),
  batchSize: positiveInt(1_048_576).default(64).describe('samples a step, over all workers'),
  shards: positiveInt(4096)
    .nullable()
    .default(null)
    .describe(
      'fixed slices of each batch; the bits depend on them, not on the workers (default: the workers)',
    ),
  workers: positiveInt(1024)
    .nullable()
    .default(null)
    .describe('worker processes (default: one a GPU, or 2 on CPU)'),
  minWorkers: positiveInt(1024)
    .default(1)
    .describe('fewer workers than this wait for others before they go on'),
  devices: z
    .string()
    .regex(/^(auto|cpu|\d{1,3}(,\d{1,3})*)$/, 'must be auto, cpu, or GPU numbers such as 0,1')
    .default('auto')
    .describe('auto, cpu, or the numbers of the GPUs to use'),
  threads: positiveInt(1024)
    .nullable()
    .default(null)
    .describe('TensorFlow threads a worker on CPU; part of what fixes the bits (default: cores / shards)'),
  engine: z
    .enum(['auto', 'tensorflow', 'wasm', 'js'])
    .default('auto')
    .describe('tensor engine; auto: native TensorFlow where it is installed, else WebAssembly'),
  precision: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe('of convolutions and matrix products; weights, statistics, loss and optimizer stay float32'),
  evalBatchSize: positiveInt(1_048_576)
    .default(250)
    .describe('samples a forward pass of the evaluation, a shard'),
  evaluate: z
    .enum(['both', 'test', 'none'])
    .default('both')
    .describe(
      'test: the test set, as often as evaluateEvery says; both: and the training set after the last step',
    ),
  evaluateEvery: z
    .string()
    .regex(stepIntervalPattern, 'must be a number of steps or epochs such as 200steps or 1epoch')
    .default('1epoch')
    .describe('evaluates so often (200steps, 1epoch), and after the last step'),
  logEvery: positiveInt(1_000_000).default(100).describe('steps between two printed lines'),
  histogramEvery: z
    .string()
    .regex(stepIntervalPattern, 'must be a number of steps or epochs such as 200steps or 1epoch')
    .nullable()
    .default(null)
    .describe(
      'how weights and gradients are spread is noted so often (200steps, 1epoch; default: never, 1epoch with --tensorboard)',
    ),
  sharedMemory: z
    .enum(['auto', 'off'])
    .default('auto')
    .describe('auto: workers of one host exchange gradients through shared memory; off: through sockets'),
  collective: z
    .enum(['auto', 'direct', 'hierarchical'])
    .default('auto')
    .describe('hierarchical: inside hosts first, then between them; auto: where that is expected to pay'),
  gradientDtype: z
    .enum(['float32', 'bfloat16'])
    .default('float32')
    .describe('of gradients between workers; bfloat16 sends half the bytes and rounds each sum'),
  bucketBytes: positiveInt(1_073_741_824)
    .default(524_288)
    .describe('bytes of gradients sent together; smaller starts earlier, larger costs fewer messages'),
  balance: z
    .enum(['off', 'speed'])
    .default('off')
    .describe(
      'speed: shards are dealt out by each measured speed, to wait less for a slow worker; same bits',
    ),
  data: z
    .string()
    .min(1)
    .max(4096)
    .nullable()
    .default(null)
    .describe('folder of the four IDX files (default: MNIST)'),
  normalize: z
    .strictObject({ mean: finite, std: finite.positive() })
    .default({ mean: 0.5, std: 0.5 })
    .describe('pixels become (x / 255 - mean) / std'),
  augment: z
    .array(augmentSchema)
    .max(64)
    .default([])
    .describe('random changes to each training picture, in order: crop, flip, affine, cutout'),
  loss: lossSchema
    .default('softmaxCrossEntropy')
    .describe('mean over the batch; of a model with several outputs the sum of theirs'),
  metrics: z
    .array(metricSchema)
    .max(64)
    .nullable()
    .default(null)
    .describe(
      'what evaluations tell besides the loss (default: accuracy of classes, else mean absolute error)',
    ),
  optimizer: optimizerSchema
    .prefault({ kind: 'adam' })
    .describe("adam, adamw or sgd, with PyTorch's arithmetic"),
  clipNorm: finite
    .positive()
    .nullable()
    .default(null)
    .describe(
      'longest the averaged gradient may be, as one vector over all parameters; a longer one is scaled',
    ),
  accumulate: positiveInt(65_536)
    .default(1)
    .describe('parts that each batch is computed in, one after the other; memory is needed for one of them'),
  ema: averageSchema
    .nullable()
    .default(null)
    .describe(
      'moving average of the weights, {"decay":0.999}: what is evaluated and saved instead of the last ones',
    ),
  schedule: scheduleSchema
    .prefault({ kind: 'step' })
    .describe('learning rate: constant, step, cosine, oneCycle or plateau'),
  warmup: warmupSchema
    .nullable()
    .default(null)
    .describe('a rate that rises first, {"steps":500} or {"epochs":1}; the schedule begins after it'),
  earlyStopping: earlyStoppingSchema
    .nullable()
    .default(null)
    .describe('ends the run when the test set has stopped getting better, {"patience":5}'),
  onMismatch: z
    .enum(['fail', 'warn'])
    .default('fail')
    .describe(
      'what happens when workers differ in engine, kernels, CPU family or threads, so that the bits may',
    ),
  checkpointEvery: z
    .string()
    .regex(intervalPattern, 'must be an interval such as 200steps, 1epoch, 30s, 5min or 1h')
    .nullable()
    .default(null)
    .describe('writes a checkpoint so often (200steps, 1epoch, 5min), and after the last step'),
  keep: positiveInt(1_000_000).default(3).describe('checkpoints that are kept; older ones are removed'),
  audit: z
    .boolean()
    .default(false)
    .describe('writes a hash of every gradient and of the weights, each step, to ledger.ndjson'),
  trace: z
    .string()
    .min(1)
    .max(4096)
    .nullable()
    .default(null)
    .describe("file for a time line of the first 1000 steps, in Chrome's trace format"),
  heartbeatMs: positiveInt(60_000).default(250).describe('milliseconds between signs of life'),
  peerTimeoutMs: positiveInt(3_600_000)
    .default(10_000)
    .describe('silence after which a process counts as lost, milliseconds'),
  coordinatorTimeoutMs: positiveInt(86_400_000)
    .default(60_000)
    .describe("how long workers keep their state for a coordinator's successor, milliseconds"),
  stepTimeoutMs: positiveInt(86_400_000)
    .default(30_000)
    .describe('longest wait without any progress of a step, milliseconds'),
  joinTimeoutMs: positiveInt(86_400_000)
    .default(120_000)
    .describe('longest wait for all workers to join and load, milliseconds'),
});

export type RunConfig = Readonly<z.infer<typeof runConfigSchema>>;
export type RunConfigInput = z.input<typeof runConfigSchema>;
export type { OptimizerConfig } from './optimizer-config.js';
export type { EarlyStoppingConfig, ScheduleConfig, WarmupConfig } from './schedule-config.js';
export type Precision = RunConfig['precision'];
export type { LossConfig, LossName, MetricConfig, OutputLossConfig } from './loss-config.js';

/** A run config whose open questions (how many workers, shards, threads) have been answered. */
export const resolvedConfigSchema = runConfigSchema.extend({
  shards: positiveInt(4096),
  workers: positiveInt(1024),
  threads: positiveInt(1024),
});
export type ResolvedConfig = Readonly<z.infer<typeof resolvedConfigSchema>>;
