/** Schemas of optimizers, with PyTorch's names and defaults, and of the moving average of weights. */

import { z } from 'zod';
import { finite } from './numbers.js';

const adamFields = {
  learningRate: finite.positive().default(0.001),
  beta1: finite.min(0).lt(1).default(0.9),
  beta2: finite.min(0).lt(1).default(0.999),
  epsilon: finite.positive().default(1e-8),
};

/** Parameters that decay: all, as in PyTorch, or those with at least two dimensions (no biases, no BatchNorm). */
const weightDecayOf = z.enum(['all', 'kernels']).default('all');

export const optimizerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('adam'),
    ...adamFields,
    /** Added to the gradient (L2), as torch.optim.Adam has it. */
    weightDecay: finite.min(0).default(0),
    weightDecayOf,
  }),
  z.strictObject({
    kind: z.literal('adamw'),
    ...adamFields,
    /** Decoupled: the parameter shrinks by learningRate * weightDecay per step, independently of its gradient. */
    weightDecay: finite.min(0).default(0.01),
    weightDecayOf,
  }),
  z
    .strictObject({
      kind: z.literal('sgd'),
      learningRate: finite.positive().default(0.01),
      momentum: finite.min(0).lt(1).default(0),
      dampening: finite.min(0).max(1).default(0),
      nesterov: z.boolean().default(false),
      /** Added to the gradient (L2). */
      weightDecay: finite.min(0).default(0),
      weightDecayOf,
    })
    .refine(({ nesterov, momentum, dampening }) => !nesterov || (momentum > 0 && dampening === 0), {
      message: 'nesterov needs a momentum above 0 and no dampening',
      path: ['nesterov'],
    }),
]);

export const averageSchema = z.strictObject({
  /** average = decay * average + (1 - decay) * weights, each step. */
  decay: finite.min(0).lt(1),
  /** Starts with a lower decay, (1 + t) / (10 + t) at step t, so that early weights are soon forgotten. */
  warmup: z.boolean().default(true),
});

export type OptimizerConfig = z.infer<typeof optimizerSchema>;
export type AverageConfig = z.infer<typeof averageSchema>;
