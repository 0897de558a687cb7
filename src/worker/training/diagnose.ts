/**
 * Finds the cause of a loss or a gradient that is not finite. Computes the step again and examines every value, without changing a
 * weight. All workers of a generation detect such a value at the same step, so all of them run the diagnosis.
 */

import { allFinite } from '../../shared/arithmetic/finite.js';
import type { BatchPlan } from '../../shared/data/sampler.js';
import { DivergedError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import type { CollectiveHandle } from '../communicator/communicator.js';
import type { ActiveShard } from '../executor/layer-op.js';
import { findingOf, keyOf, noFinding, type Note } from './diagnosis-key.js';
import { describeDivergence } from './describe-divergence.js';
import type { TrainStepContext } from './generation-context.js';
import { replayStep } from './replay-step.js';
import type { Replica } from './replica.js';
import { readWeights } from './weights.js';

/**
 * Returns the error that names the first cause. All workers return the same error.
 * @param microBatches this worker's active shards in each micro-batch
 * @throws GenerationEnded if the generation ends before the workers have agreed
 */
export function diagnose(
  context: TrainStepContext,
  batch: BatchPlan,
  microBatches: readonly (readonly ActiveShard[])[],
  loss: number,
): DivergedError {
  let first = noFinding;
  const note: Note = (cause, index, microBatch, shard) => {
    first = Math.min(first, keyOf({ cause, index, microBatch, shard }));
  };
  noteSamples(context, batch, microBatches, note);
  const badWeight = readWeights(context.replica).findIndex((values) => !allFinite(values));
  if (badWeight >= 0) note('weight', badWeight, 0, 0);
  // All replicas have the same weights, so either all workers compute the step again or none does.
  const layers = badWeight < 0 ? replayStep(context, batch, microBatches, note) : [];
  const agreed = smallestOf(context.loss, batch.step, first);
  return describeDivergence(context, batch, loss, findingOf(agreed), layers);
}

/** @throws DivergedError if a value of `weights`, in layout order, is not finite after `step` */
export function checkFiniteWeights(
  { layout }: Pick<Replica, 'layout'>,
  weights: readonly Float32Array[],
  step: number,
): void {
  const at = weights.findIndex((values) => !allFinite(values));
  if (at < 0) return;
  const name = layout[at]?.name ?? String(at);
  throw new DivergedError(
    `Training diverged: expected finite weights after step ${step}, got others in "${name}". The update was too large. ` +
      'Lower the learning rate, or limit the gradient with clipNorm.',
    { step, weight: name },
  );
}

function noteSamples(
  { replica, reader, localShards }: TrainStepContext,
  batch: BatchPlan,
  microBatches: readonly (readonly ActiveShard[])[],
  note: Note,
): void {
  const { inputs, targets } = replica.data.train;
  for (const [microBatch, shards] of microBatches.entries()) {
    for (const { local, start, count } of shards) {
      const samples = reader.samplesAt(batch, { start, end: start + count });
      for (const [cause, specs, values] of [
        ['input', inputs, samples.inputs] as const,
        ['target', targets, samples.targets] as const,
      ]) {
        for (const [i, { shape }] of specs.entries()) {
          const at = values[i]?.findIndex((value) => !Number.isFinite(value)) ?? -1;
          const position = start + Math.floor(at / elementCount(shape));
          if (at >= 0) note(cause, position, microBatch, localShards.start + local);
        }
      }
    }
  }
}

/**
 * Returns the smallest value of all workers, by bisection. In each round a worker contributes 1 if its value is in the lower half,
 * else 0. Takes one round of the loss's all-reduce per bit of `noFinding`.
 */
function smallestOf(collective: CollectiveHandle, step: number, own: number): number {
  let [low, high] = [0, noFinding];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    for (const [local, vector] of collective.inputs.entries())
      vector[0] = local === 0 && own <= middle ? 1 : 0;
    collective.start(step);
    collective.wait();
    if ((collective.output[0] ?? 0) > 0) high = middle;
    else low = middle + 1;
  }
  return low;
}
