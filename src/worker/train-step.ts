/**
 * One step of synchronous data-parallel training. Reads top to bottom; nothing is permanent before the last two lines.
 */

import type { Tensor, Tensor1D, Tensor2D } from '@tensorflow/tfjs';
import type { BatchPlan } from '../shared/data/sampler.js';
import type { DataSplit } from '../shared/data/training-data.js';
import { DivergedError } from '../shared/errors.js';
import { elementCount } from '../shared/layout.js';
import type { ActiveShard, StepContext } from './executor/layer-op.js';
import { learningRateAt } from './optimizer/schedule.js';
import { hashStatistics, type Participation } from './replica.js';

export interface StepResult {
  /** Mean over the global batch, before the update. */
  readonly loss: number;
  readonly learningRate: number;
}

/**
 * Trains on one global batch together with all other workers.
 * @throws whatever ended the run while this worker waited for the others; the replica is then as it was before the step.
 * @throws DivergedError when the loss is not finite.
 */
export function trainStep(participation: Participation, batch: BatchPlan): StepResult {
  const { replica, executor, optimizer, buckets, sampler, localShards, ledger, measure, reach } =
    participation;
  const { config, data, kernels } = replica;
  const { tf } = replica.engine;
  const lossExchange = participation.loss;

  // ---- this worker's shards of the batch
  const shards: ActiveShard[] = [];
  for (let shard = localShards.start; shard < localShards.end; shard++) {
    const { start, end } = sampler.slice(batch, shard);
    if (end > start) shards.push({ local: shard - localShards.start, start, count: end - start });
  }
  const samples = measure('data', 'samples', () =>
    shards.map(({ start, count }) =>
      readSamples(data.train, sampler.indices(batch, { start, end: start + count })),
    ),
  );

  // ---- forward, loss, backward; gradients leave while backward goes on
  buckets.begin(batch.step, shards);
  for (const vector of lossExchange.inputs) vector.fill(0);
  /** Each local shard's part of the loss. */
  const parts = new Map<number, number>();
  const context: StepContext = {
    training: true,
    step: batch.step,
    shards,
    gradient: (weight, shard, value) => buckets.add(weight, shard, value),
  };
  tf.tidy(() => {
    const inputs = measure('data', 'tensors', () =>
      samples.map(({ inputs, shape }) => tf.tensor(inputs, shape)),
    );
    executor.train(context, [inputs], ([logits = []]) => {
      const gradients = shards.map(({ local }, i): Tensor => {
        const labels = tf.tensor1d(samples[i]?.labels ?? [], 'int32');
        const { losses, gradient } = kernels.softmaxCrossEntropy(logits[i] as Tensor2D, labels);
        const part = sum(losses) / batch.count;
        parts.set(local, part);
        lossExchange.inputs[local]?.fill(part);
        // Of the mean over the global batch: shards then simply add up.
        return tf.mul(gradient, 1 / batch.count);
      });
      lossExchange.start(batch.step);
      return [gradients];
    });
  });

  // ---- wait for the others
  const gradient = buckets.finish();
  lossExchange.wait();
  const loss = lossExchange.output[0] ?? Number.NaN;
  if (!Number.isFinite(loss)) {
    throw new DivergedError(
      `Training diverged: expected a finite loss, got ${loss} (step ${batch.step}). Lower the learning rate.`,
      { step: batch.step },
    );
  }

  // ---- commit
  const learningRate = learningRateAt(config.optimizer, config.schedule, batch.epoch);
  // Statistics first: they belong to the parameters that the forward pass saw, biases that BatchNorm cancels included.
  measure('update', 'statistics', () => executor.commit());
  reach?.('apply', batch.step);
  measure('update', 'adam', () => optimizer.apply(gradient, batch.step, learningRate, ledger?.parameters));
  if (ledger) {
    for (const [local, part] of parts) ledger.shard(batch.step, local, part);
    ledger.weights(batch.step, hashStatistics(replica));
  }
  return { loss, learningRate };
}

interface Samples {
  readonly inputs: Float32Array;
  readonly labels: Int32Array;
  readonly shape: number[];
}

/** The samples `indices` as floats, with their labels. */
export function readSamples(split: DataSplit, indices: Int32Array): Samples {
  const inputs = new Float32Array(indices.length * elementCount(split.sampleShape));
  const labels = new Int32Array(indices.length);
  split.fill(indices, inputs, labels);
  return { inputs, labels, shape: [indices.length, ...split.sampleShape] };
}

/** In float64, in order. */
export function sum(values: Tensor1D): number {
  return values.dataSync<'float32'>().reduce((total, value) => total + value, 0);
}
