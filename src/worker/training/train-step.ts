/**
 * One step of synchronous data-parallel training. Reads top to bottom; nothing is permanent before the last two lines.
 */

import type { Tensor } from '@tensorflow/tfjs';
import type { BatchPlan } from '../../shared/data/sampler.js';
import { DivergedError } from '../../shared/errors.js';
import type { ActiveShard, StepContext } from '../executor/layer-op.js';
import { reducedRate } from '../optimizer/evaluation-schedule.js';
import { learningRateAt } from '../optimizer/schedule.js';
import type { GenerationContext } from './replica.js';
import { toTensors } from '../data/batch-reader.js';
import { hashStatistics } from './weights.js';

export interface StepResult {
  /** Mean over the global batch plus the penalties of regularizers, before the update. */
  readonly loss: number;
  readonly learningRate: number;
}

/**
 * Trains on one global batch together with all other workers. A batch that is computed in parts (`accumulate`) is still one
 * step: each part is cut into the same shards, a shard's gradients of all parts are added up in order where it is computed,
 * and one all-reduce follows; so the bits depend on the parts and the shards, never on the workers.
 * @throws whatever ended the run while this worker waited for the others; the replica is then as it was before the step.
 * @throws DivergedError when the loss is not finite.
 */
export function trainStep(participation: GenerationContext, batch: BatchPlan): StepResult {
  const { replica, executor, state, buckets, sampler, reader, ledger, histograms, measure, onFaultPoint } =
    participation;
  const { regularization } = participation;
  const { config, data, objective } = replica;
  const { tf } = replica.engine;
  const lossExchange = participation.loss;
  /** Each local shard's part of the loss. */
  const shardLosses = new Map<number, number>();

  // ---- this worker's shards of the batch, in each of its parts
  const parts = activeShards(participation, batch);

  // ---- forward, loss, backward; gradients leave while the last backward goes on
  buckets.begin(batch.step, parts);
  for (const vector of lossExchange.inputs) vector.fill(0);
  for (const [index, shards] of parts.entries()) {
    const samples = measure('data', 'samples', () =>
      shards.map(({ start, count }) => reader.take(batch, { start, end: start + count })),
    );
    const context: StepContext = {
      training: true,
      step: batch.step,
      shards,
      gradient: (weight, shard, value) => buckets.add(weight, shard, value),
    };
    tf.tidy(() => {
      const inputs = measure('data', 'tensors', () =>
        samples.map(({ inputs, count }) => toTensors(tf, data.train.inputs, inputs, count)),
      );
      executor.train(context, perTensor(data.train.inputs.length, inputs), (outputs) => {
        const gradients = shards.map(({ local }, i): readonly Tensor[] => {
          const { targets = [], count = 0 } = samples[i] ?? {};
          const predictions = outputs.map((shardOutputs) => shardOutputs[i] as Tensor);
          const wanted = toTensors(tf, data.train.targets, targets, count);
          const result = objective.compute(predictions, wanted);
          const total = lossExchange.inputs[local];
          if (total) total[0] = (total[0] ?? 0) + result.sum / batch.count;
          // Of the mean over the global batch: shards then simply add up.
          return result.gradients.map((gradient) => tf.mul(gradient, 1 / batch.count));
        });
        if (index === parts.length - 1) {
          for (const { local } of parts.flat()) shardLosses.set(local, lossExchange.inputs[local]?.[0] ?? 0);
          lossExchange.start(batch.step);
        }
        return perTensor(outputs.length, gradients);
      });
    });
  }

  // ---- wait for the others
  const reduced = buckets.finish();
  lossExchange.wait();
  const { gradient, penalty } = regularization
    ? measure('update', 'regularization', () => regularization.add(reduced))
    : { gradient: reduced, penalty: 0 };
  const loss = (lossExchange.output[0] ?? Number.NaN) + penalty;
  if (!Number.isFinite(loss)) {
    throw new DivergedError(
      `Training diverged: expected a finite loss, got ${loss} (step ${batch.step}). Lower the learning rate.`,
      { step: batch.step },
    );
  }

  // ---- commit
  const learningRate = learningRateAt(
    config,
    { ...batch, stepsPerEpoch: sampler.stepsPerEpoch },
    reducedRate(state.schedulerState),
  );
  // Statistics first: they belong to the parameters that the forward pass saw, biases that BatchNorm cancels included.
  measure('update', 'statistics', () => executor.commit());
  onFaultPoint?.('apply', batch.step);
  measure('update', 'optimizer', () => state.update(gradient, batch.step, learningRate, ledger?.parameters));
  if (ledger) {
    for (const [local, loss] of shardLosses) ledger.shard(batch.step, local, loss);
    ledger.weights(batch.step, hashStatistics(replica));
  }
  histograms?.after(batch.step, gradient);
  return { loss, learningRate };
}

/** This worker's shards that have samples, in each part of the batch that is computed by itself. */
export function activeShards(
  { sampler, localShards }: Pick<GenerationContext, 'sampler' | 'localShards'>,
  batch: BatchPlan,
): ActiveShard[][] {
  return sampler.parts(batch).map((part): ActiveShard[] => {
    const shards: ActiveShard[] = [];
    for (let shard = localShards.start; shard < localShards.end; shard++) {
      const { start, end } = sampler.slice(batch, shard, part);
      if (end > start) shards.push({ local: shard - localShards.start, start, count: end - start });
    }
    return shards;
  });
}

/** From [shard][tensor] to [tensor][shard]; `count` tensors, also where there is no shard. */
function perTensor(count: number, shards: readonly (readonly Tensor[])[]): Tensor[][] {
  return Array.from({ length: count }, (_, i) => shards.map((tensors) => tensors[i] as Tensor));
}
