/** Configuration fields of evaluations, logs and recordings. */

import { z } from 'zod';
import { fieldMetadata } from '../field-metadata.js';
import { stepIntervalPattern } from '../interval.js';
import { metricSchema } from '../metric-config.js';
import { positiveInt } from '../numbers.js';

const stepInterval = z
  .string()
  .regex(stepIntervalPattern, 'must be a number of steps or epochs such as 200steps or 1epoch');

export const evaluationFields = {
  name: z
    .string()
    .regex(/^[\w .-]{1,64}$/, 'must be 1 to 64 letters, digits, spaces, dots or dashes')
    .default('training')
    .register(fieldMetadata, {
      description: 'name of the run in logs and on the dashboard',
      resume: 'free',
    }),
  evaluate: z.enum(['both', 'test', 'none']).default('both').register(fieldMetadata, {
    description:
      'data sets to evaluate; test: the test set; both: the test set, and the training set after the last step',
    flag: '--evaluate <sets>',
    resume: 'free',
  }),
  evaluateEvery: stepInterval.default('1epoch').register(fieldMetadata, {
    description:
      'interval between evaluations, e.g. 200steps or 1epoch; another evaluation follows the last step',
    flag: '--evaluate-every <interval>',
    resume: 'free',
  }),
  evalBatchSize: positiveInt(1_048_576).default(250).register(fieldMetadata, {
    description: 'samples per forward pass of an evaluation, on each shard',
    unit: 'samples',
    resume: 'free',
  }),
  metrics: z.array(metricSchema).max(64).nullable().default(null).register(fieldMetadata, {
    description:
      'metrics of an evaluation besides the loss: accuracy, topK, precision, recall, f1, auc, meanAbsoluteError, meanSquaredError',
    defaultText: 'accuracy for classes, otherwise mean absolute error',
    resume: 'free',
  }),
  trainMetrics: z.boolean().default(false).register(fieldMetadata, {
    description:
      'metrics of each step on its own batch, before the update and in training mode, as `fit` of tfjs reports them; in the event `step`',
    resume: 'free',
  }),
  logEvery: positiveInt(1_000_000).default(100).register(fieldMetadata, {
    description: 'number of steps between two printed lines',
    flag: '--log-every <n>',
    unit: 'steps',
    resume: 'free',
  }),
  statusMs: positiveInt(3_600_000).min(100).default(1_000).register(fieldMetadata, {
    description: 'interval between two status events, which the live view and the dashboard show',
    flag: '--status-ms <n>',
    unit: 'ms',
    resume: 'free',
  }),
  histogramEvery: stepInterval.nullable().default(null).register(fieldMetadata, {
    description: 'interval at which weight and gradient histograms are recorded, e.g. 200steps or 1epoch',
    flag: '--histogram-every <interval>',
    defaultText: 'never, or 1epoch with --tensorboard',
    resume: 'free',
  }),
  audit: z.boolean().default(false).register(fieldMetadata, {
    description: 'hashes of every gradient and of the weights at each step, in ledger.ndjson',
    flag: '--audit',
    resume: 'free',
  }),
  trace: z.string().min(1).max(4096).nullable().default(null).register(fieldMetadata, {
    description: "file for a timeline of the first 1000 steps, in Chrome's trace format",
    flag: '--trace <file>',
    defaultText: 'none',
    resume: 'free',
  }),
};
