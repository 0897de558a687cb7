/** Schemas of learning rate schedules, of the warm-up and of early stopping. */

import { z } from 'zod';
import { finite, positiveInt } from './numbers.js';

/** Criterion for improvement of the test set's evaluations, evaluated identically on every worker. */
const judged = {
  /** `loss`, or the name of a metric. */
  metric: z.string().min(1).max(64).default('loss'),
  /** `min` if a lower value is better. */
  mode: z.enum(['min', 'max']).default('min'),
  /** Number of evaluations without improvement that are tolerated. */
  patience: z.int().min(0).max(1_000_000).default(10),
  /** Minimum change that counts as an improvement. */
  threshold: finite.min(0).default(1e-4),
  /** `relative`: the threshold is a fraction of the best value; `absolute`: an amount. */
  thresholdMode: z.enum(['relative', 'absolute']).default('relative'),
};

export const scheduleSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    /** The same rate in every step. */
    kind: z.literal('constant'),
  }),
  /** rate * gamma ^ floor(epoch / stepSize) */
  z.strictObject({
    /** The rate times `gamma` to the power of floor(epoch / stepSize). */
    kind: z.literal('step'),
    /** Epochs between two decays. */
    stepSize: positiveInt(1_000_000).default(6),
    /** Factor of each decay. Default: 0.1. */
    gamma: finite.positive().max(1).default(0.1),
  }),
  /** Half a cosine per run, from the optimizer's rate down to `minimum` at the end of the run's epochs. */
  z.strictObject({
    /** Half a cosine per run. */
    kind: z.literal('cosine'),
    /** Rate at the end of the run's epochs. Default: 0. */
    minimum: finite.min(0).default(0),
  }),
  /**
   * From rate / startDivisor up to the optimizer's rate and down again to rate / startDivisor / endDivisor at the
   * end of the run's epochs (Smith 2018; PyTorch's OneCycleLR without its cycle of momenta).
   */
  z.strictObject({
    /** Up to the rate, and down again (PyTorch's OneCycleLR). */
    kind: z.literal('oneCycle'),
    /** Fraction of the steps in which the rate rises. */
    rise: finite.gt(0).lt(1).default(0.3),
    /** The first rate is the rate divided by this. Default: 25. */
    startDivisor: finite.min(1).default(25),
    /** The last rate is the first one divided by this. Default: 10,000. */
    endDivisor: finite.min(1).default(1e4),
    /** Form of the curve. Default: `cosine`. */
    anneal: z.enum(['cosine', 'linear']).default('cosine'),
  }),
  /** Multiplies the rate by `factor` when evaluations stop improving (PyTorch's ReduceLROnPlateau). */
  z.strictObject({
    /** Reduces the rate when evaluations stop improving. */
    kind: z.literal('plateau'),
    ...judged,
    /** Factor of each reduction. Default: 0.1. */
    factor: finite.gt(0).lt(1).default(0.1),
    /** Number of evaluations after a decay that are ignored. */
    cooldown: z.int().min(0).max(1_000_000).default(0),
    /** Smallest rate. Default: 0. */
    minimum: finite.min(0).default(0),
  }),
]);

/** The rate rises linearly from `from` times the schedule's rate, for a number of steps or epochs; then the schedule begins. */
export const warmupSchema = z
  .strictObject({
    /** Length in steps; either this or `epochs`. */
    steps: positiveInt(0xffffffff).optional(),
    /** Length in epochs, also a fraction of one. */
    epochs: finite.positive().max(1_000_000).optional(),
    /** Fraction of the schedule's rate in the first step. Default: 0.01. */
    from: finite.min(0).max(1).default(0.01),
  })
  .refine(({ steps, epochs }) => (steps === undefined) !== (epochs === undefined), {
    message: 'needs either steps or epochs',
  });

export const earlyStoppingSchema = z.strictObject(judged);

export type ScheduleConfig = z.infer<typeof scheduleSchema>;
export type WarmupConfig = z.infer<typeof warmupSchema>;
export type EarlyStoppingConfig = z.infer<typeof earlyStoppingSchema>;
