/** The permanent writes of a training step. */

import type { CommitContext } from './generation-context.js';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import { hashStatistics } from './weights.js';

/** A step whose collectives are complete, ready to be committed. */
export interface ComputedStep {
  readonly step: number;
  readonly learningRate: number;
  /**
   * The gradient of the global mean loss, flat, in backward order. A commit does not change it, because other workers may still read it.
   */
  readonly gradient: PinnedVector;
  /** Each local shard's share of the loss, by local index. Shards without samples have no entry. */
  readonly shardLosses: ReadonlyMap<number, number>;
}

/**
 * Makes a step permanent. No other function of a training step changes the model or the training state. There are two permanent
 * writes, in this order:
 *
 * 1. The running statistics of BatchNorm layers (`executor.commit`). The forward pass leaves out a bias before a BatchNorm, but the running
 *    mean must contain this bias. `executor.commit` therefore adds the bias to the batch mean. It must add the value that the bias had
 *    during the step. The statistics are therefore written before the update.
 * 2. The optimizer's update of parameters and moments (`state.update`). It also updates the moving average, and
 *    reads the new statistics for it.
 *
 * Both writes are local and synchronous, and no collective runs between them. The main thread notices the end of a generation only when it
 * waits for a collective or for the event loop. A step is therefore aborted before both writes or not at all. A worker that is killed
 * between the writes is lost together with its replica.
 */
export function commitStep(
  { replica, executor, state, ledger, measure, onFaultPoint }: CommitContext,
  { step, learningRate, gradient, shardLosses }: ComputedStep,
): void {
  measure('update', 'statistics', () => executor.commit());
  onFaultPoint?.('mid-commit', step);
  measure('update', 'optimizer', () => state.update(gradient, step, learningRate, ledger?.parameters));
  if (!ledger) return;
  for (const [local, loss] of shardLosses) ledger.shard(step, local, loss);
  ledger.weights(step, hashStatistics(replica));
}
