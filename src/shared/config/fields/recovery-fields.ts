/** Configuration fields of checkpoints and of the timeouts by which a failure is detected. */

import { z } from 'zod';
import { fieldMetadata } from '../field-metadata.js';
import { intervalPattern } from '../interval.js';
import { positiveInt } from '../numbers.js';

export const recoveryFields = {
  checkpointEvery: z
    .string()
    .regex(intervalPattern, 'must be an interval such as 200steps, 1epoch, 30s, 5min or 1h')
    .nullable()
    .default(null)
    .register(fieldMetadata, {
      description:
        'interval between checkpoints, e.g. 200steps, 1epoch or 5min; another checkpoint follows the last step',
      flag: '--checkpoint-every <interval>',
      defaultText: 'never',
      resume: 'free',
    }),
  keep: positiveInt(1_000_000).default(3).register(fieldMetadata, {
    description: 'number of checkpoints to keep; older ones are removed',
    flag: '--keep <n>',
    unit: 'checkpoints',
    resume: 'free',
  }),
  heartbeatMs: positiveInt(60_000).default(250).register(fieldMetadata, {
    description: 'interval between two heartbeats of a process',
    flag: '--heartbeat-ms <n>',
    unit: 'ms',
    resume: 'free',
  }),
  peerTimeoutMs: positiveInt(3_600_000).default(10_000).register(fieldMetadata, {
    description: 'longest silence of a process before it is considered lost',
    flag: '--peer-timeout-ms <n>',
    unit: 'ms',
    resume: 'free',
  }),
  coordinatorTimeoutMs: positiveInt(86_400_000).default(60_000).register(fieldMetadata, {
    description: 'longest time for which workers keep their state while they wait for a new coordinator',
    flag: '--coordinator-timeout-ms <n>',
    unit: 'ms',
    resume: 'free',
  }),
  stepTimeoutMs: positiveInt(86_400_000).default(30_000).register(fieldMetadata, {
    description: 'longest wait without progress within a step',
    flag: '--step-timeout-ms <n>',
    unit: 'ms',
    resume: 'free',
  }),
  joinTimeoutMs: positiveInt(86_400_000).default(120_000).register(fieldMetadata, {
    description: 'longest wait for all workers to join and load',
    flag: '--join-timeout-ms <n>',
    unit: 'ms',
    resume: 'free',
  }),
};
