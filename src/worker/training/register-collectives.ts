/** Registers the small collectives of a generation. */

import type { Communicator } from '../communicator/communicator.js';
import { sumCount } from '../evaluation/shard-totals.js';
import type { GenerationContext } from './generation-context.js';
import type { Replica } from './replica.js';
import { statisticsSize } from './weights.js';

export type SmallCollectives = Pick<
  GenerationContext,
  'loss' | 'statistics' | 'schedulerState' | 'evaluation'
>;

/** Must be called at the same point on every worker, because the ids of collectives follow from the order of registration. */
export function registerCollectives(
  registrar: Pick<Communicator, 'register'>,
  replica: Replica,
  schedulerSize: number,
): SmallCollectives {
  return {
    loss: registrar.register({
      name: 'loss',
      reduction: 'sum-float64',
      elementCount: replica.config.trainMetrics ? replica.objective.sumCount : 1,
    }),
    // A collective has at least one element.
    statistics: registrar.register({
      name: 'statistics',
      reduction: 'sum-float32',
      elementCount: Math.max(1, statisticsSize(replica)),
    }),
    schedulerState: registrar.register({
      name: 'scheduler-state',
      reduction: 'sum-float64',
      elementCount: Math.max(1, schedulerSize),
    }),
    evaluation: registrar.register({
      name: 'evaluation',
      reduction: 'sum-float64',
      elementCount: sumCount(replica),
    }),
  };
}
