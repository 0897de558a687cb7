/** Configuration fields of the training itself: its length, its batches, its objective and its optimizer. */

import { z } from 'zod';
import { fieldMetadata } from '../field-metadata.js';
import { lossSchema } from '../loss-config.js';
import { finite, positiveInt } from '../numbers.js';
import { averageSchema, optimizerSchema } from '../optimizer-config.js';
import { sameEarlyStopping, sameOnOrOff, sameOptimizerState, samePlateau } from '../resume-rules.js';
import { earlyStoppingSchema, scheduleSchema, warmupSchema } from '../schedule-config.js';

export const trainingFields = {
  set: z.record(z.string().min(1).max(256), z.unknown()).default({}).register(fieldMetadata, {
    description:
      'values of single fields, such as optimizer.learningRate=0.01; repeatable; they outrank the training definition and `model.compile`',
    flag: '--set <field=value>',
    resume: 'free',
  }),
  seed: z.int().min(0).max(0xffffffff).default(1).register(fieldMetadata, {
    description: 'seed of every random draw: initial weights, shuffles, dropout, augmentation',
    flag: '--seed <n>',
    environment: 'LOCKSTEP_SEED',
    resume: 'fixed',
  }),
  epochs: positiveInt(1_000_000).default(3).register(fieldMetadata, {
    description: 'number of passes over the training set',
    flag: '--epochs <n>',
    environment: 'LOCKSTEP_EPOCHS',
    unit: 'epochs',
    resume: 'free',
  }),
  maxSteps: positiveInt(0xffffffff).nullable().default(null).register(fieldMetadata, {
    description: 'maximum number of training steps in total',
    flag: '--max-steps <n>',
    environment: 'LOCKSTEP_MAX_STEPS',
    unit: 'steps',
    defaultText: 'no limit besides epochs',
    resume: 'free',
  }),
  batchSize: positiveInt(1_048_576).default(64).register(fieldMetadata, {
    description: 'samples per step, summed over all workers',
    flag: '--batch-size <n>',
    unit: 'samples',
    resume: 'fixed',
  }),
  shuffle: z.boolean().default(true).register(fieldMetadata, {
    description:
      'a new order of the training samples in each epoch, from the seed; false: the order of the data, as in `fit` of tfjs with shuffle: false',
    resume: 'fixed',
  }),
  shards: positiveInt(4096).nullable().default(null).register(fieldMetadata, {
    description:
      'number of fixed slices of each batch; results depend on it and not on the number of workers',
    flag: '--shards <k>',
    unit: 'shards',
    defaultText: 'the number of workers',
    resume: 'fixed',
  }),
  accumulate: positiveInt(65_536).default(1).register(fieldMetadata, {
    description: 'number of micro-batches per batch, computed one after another; memory holds one at a time',
    resume: 'fixed',
  }),
  arithmetic: z
    .enum(['pytorch', 'tfjs'])
    .default('pytorch')
    .register(fieldMetadata, {
      description:
        "rules where PyTorch and tfjs differ: the defaults of optimizers (Adam's epsilon is 1e-8 or 1e-7), the rules of rmsprop, " +
        'adagrad, adadelta and adamax, and the variance that enters ' +
        "BatchNorm's running variance (unbiased or biased)",
      resume: 'fixed',
    }),
  frozenBatchNorm: z
    .enum(['batch', 'inference'])
    .default('batch')
    .register(fieldMetadata, {
      description:
        'statistics with which a BatchNormalization that is not trainable normalizes in training: `batch` as in tfjs and PyTorch, ' +
        '`inference` (its running statistics, which then stay as they are) as in Keras',
      resume: 'fixed',
    }),
  loss: lossSchema.default('softmaxCrossEntropy').register(fieldMetadata, {
    description:
      'loss, averaged over the batch; a model with several outputs is trained on the sum of their losses',
    resume: 'free',
  }),
  optimizer: optimizerSchema.prefault({ kind: 'adam' }).register(fieldMetadata, {
    description:
      'optimizer, as { kind, ... } or by its name: adam, adamw, sgd, rmsprop, adagrad, adadelta or adamax',
    resume: sameOptimizerState,
  }),
  clipNorm: finite.positive().nullable().default(null).register(fieldMetadata, {
    description: 'maximum global gradient norm; larger gradients are scaled down',
    defaultText: 'no clipping',
    resume: 'free',
  }),
  ema: averageSchema.nullable().default(null).register(fieldMetadata, {
    description:
      'moving average of the weights, e.g. {"decay":0.999}, which is evaluated and saved instead of the latest weights',
    defaultText: 'none',
    resume: sameOnOrOff,
  }),
  schedule: scheduleSchema.prefault({ kind: 'step' }).register(fieldMetadata, {
    description: 'schedule of the learning rate: constant, step, cosine, oneCycle or plateau',
    resume: samePlateau,
  }),
  warmup: warmupSchema.nullable().default(null).register(fieldMetadata, {
    description: 'linear warm-up of the learning rate before the schedule, {"steps":500} or {"epochs":1}',
    defaultText: 'none',
    resume: 'free',
  }),
  earlyStopping: earlyStoppingSchema.nullable().default(null).register(fieldMetadata, {
    description: 'criterion for an early end: the test set has stopped improving, e.g. {"patience":5}',
    defaultText: 'none',
    resume: sameEarlyStopping,
  }),
};
