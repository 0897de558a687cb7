/** The learning rate's part of the run config: schedules, warm-up, and what ends a run early. Plain data. */

import { z } from 'zod';
import { finite, positiveInt } from './numbers.js';

/** Judges evaluations of the test set, each once, the same on every worker. */
const judged = {
  /** `loss`, or the name of a metric. */
  metric: z.string().min(1).max(64).default('loss'),
  /** Whether less of it is better. */
  mode: z.enum(['min', 'max']).default('min'),
  /** Evaluations without a better one that are put up with. */
  patience: z.int().min(0).max(1_000_000).default(10),
  /** A better one is better by more than this. */
  threshold: finite.min(0).default(1e-4),
  /** Of the threshold: a part of the best so far, or an amount. */
  thresholdMode: z.enum(['relative', 'absolute']).default('relative'),
};

export const scheduleSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('constant') }),
  /** rate * gamma ^ floor(epoch / stepSize) */
  z.strictObject({
    kind: z.literal('step'),
    /** Epochs between two decays. */
    stepSize: positiveInt(1_000_000).default(6),
    gamma: finite.positive().max(1).default(0.1),
  }),
  /** Each step, half a cosine from the optimizer's rate down to `minimum` at the end of the run's epochs. */
  z.strictObject({ kind: z.literal('cosine'), minimum: finite.min(0).default(0) }),
  /**
   * Each step, from rate / startDivisor up to the optimizer's rate and down again to rate / startDivisor / endDivisor at the
   * end of the run's epochs (Smith 2018; PyTorch's OneCycleLR without its cycle of momenta).
   */
  z.strictObject({
    kind: z.literal('oneCycle'),
    /** Part of the steps in which the rate rises. */
    rise: finite.gt(0).lt(1).default(0.3),
    startDivisor: finite.min(1).default(25),
    endDivisor: finite.min(1).default(1e4),
    anneal: z.enum(['cosine', 'linear']).default('cosine'),
  }),
  /** Times `factor` whenever the evaluations stop getting better (PyTorch's ReduceLROnPlateau). */
  z.strictObject({
    kind: z.literal('plateau'),
    ...judged,
    factor: finite.gt(0).lt(1).default(0.1),
    /** Evaluations after a decay that don't count. */
    cooldown: z.int().min(0).max(1_000_000).default(0),
    minimum: finite.min(0).default(0),
  }),
]);

/** The rate rises linearly from `from` times what the schedule says, over so many steps or epochs; then the schedule begins. */
export const warmupSchema = z
  .strictObject({
    steps: positiveInt(0xffffffff).optional(),
    epochs: finite.positive().max(1_000_000).optional(),
    from: finite.min(0).max(1).default(0.01),
  })
  .refine(({ steps, epochs }) => (steps === undefined) !== (epochs === undefined), {
    message: 'needs either steps or epochs',
  });

export const earlyStoppingSchema = z.strictObject(judged);

export type ScheduleConfig = z.infer<typeof scheduleSchema>;
export type WarmupConfig = z.infer<typeof warmupSchema>;
export type EarlyStoppingConfig = z.infer<typeof earlyStoppingSchema>;
