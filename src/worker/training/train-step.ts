/**
 * One step of synchronous data-parallel training: `trainStep`. Only `commitStep` changes the model and the training state.
 */

import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { BatchPlan } from '../../shared/data/sampler.js';
import { allFinite } from '../../shared/arithmetic/finite.js';
import { toTensors, type Samples } from '../data/batch-reader.js';
import { perTensor, type ActiveShard, type StepContext } from '../executor/layer-op.js';
import { reducedRate } from '../optimizer/evaluation-decisions.js';
import { learningRateAt } from '../optimizer/schedule.js';
import { commitStep } from './commit-step.js';
import { diagnose } from './diagnose.js';
import type { ShardContext, TrainStepContext } from './generation-context.js';

export interface StepResult {
  /** The mean loss over the global batch plus the penalties of regularizers, before the update. */
  readonly loss: number;
  readonly learningRate: number;
  /** Means over the global batch, before the update; only with `trainMetrics`. */
  readonly metrics?: Readonly<Record<string, number>>;
}

/**
 * Trains on one global batch together with all other workers. A batch of several micro-batches (`accumulate`) is still one step. Each
 * micro-batch is divided into as many slices as there are shards, and each slice belongs to one shard. The worker that owns a shard sums
 * its gradients over the micro-batches in order, and one all-reduce follows. The result depends on the numbers of micro-batches and shards, and not on the number of workers. Leaves no tensors
 * behind. If the function throws, the replica is as it was before the step.
 * @throws GenerationEnded, or the error that ended the run, while this worker waits for the others
 * @throws DivergedError if the loss or the gradient is not finite
 */
export function trainStep(context: TrainStepContext, batch: BatchPlan): StepResult {
  const { replica, state, sampler, histograms } = context;
  const { step } = batch;

  const microBatches = activeShards(context, batch);
  const shardLosses = computeGradients(context, batch, microBatches);
  const { gradient, loss, isFinite } = reduceGradients(context);
  const sums = Float64Array.from(context.loss.output);
  if (!isFinite) throw diagnose(context, batch, microBatches, loss);

  const position = { ...batch, stepsPerEpoch: sampler.stepsPerEpoch };
  const learningRate = learningRateAt(replica.config, position, reducedRate(state.schedulerState));
  commitStep(context, { step, learningRate, gradient, shardLosses });
  histograms?.after(step, gradient);
  if (!replica.config.trainMetrics) return { loss, learningRate };
  return { loss, learningRate, metrics: replica.objective.results(sums, batch.count).metrics };
}

/** This worker's shards that have samples, for each micro-batch: [micro-batch][shard]. */
export function activeShards({ sampler, localShards }: ShardContext, batch: BatchPlan): ActiveShard[][] {
  return sampler.microBatches(batch).map((microBatch): ActiveShard[] => {
    const shards: ActiveShard[] = [];
    for (let shard = localShards.start; shard < localShards.end; shard++) {
      const { start, end } = sampler.slice(batch, shard, microBatch);
      if (end > start) shards.push({ local: shard - localShards.start, start, count: end - start });
    }
    return shards;
  });
}

/**
 * Runs the forward pass, the loss and the backward pass of all micro-batches. Gradient buckets are sent during the last backward pass.
 * Returns the loss of each local shard that has samples.
 */
function computeGradients(
  context: TrainStepContext,
  batch: BatchPlan,
  microBatches: readonly (readonly ActiveShard[])[],
): Map<number, number> {
  const { replica, buckets, reader, loss, measure } = context;
  const { tf } = replica.engine;
  const shardLosses = new Map<number, number>();
  buckets.begin(batch.step, microBatches);
  for (const vector of loss.inputs) vector.fill(0);
  for (const [index, shards] of microBatches.entries()) {
    const samples = measure('data', 'samples', () =>
      shards.map(({ start, count }) => reader.samplesAt(batch, { start, end: start + count })),
    );
    // The loss is complete before the last backward pass, so its all-reduce overlaps with that pass.
    const afterLoss = (): void => {
      if (index < microBatches.length - 1) return;
      for (const { local } of microBatches.flat()) shardLosses.set(local, loss.inputs[local]?.[0] ?? 0);
      loss.start(batch.step);
    };
    tf.tidy(() => forwardAndBackward(context, batch, shards, samples, afterLoss));
  }
  return shardLosses;
}

/** Must run inside a tidy. Adds the loss and the metrics of each shard to `loss.inputs` and its gradients to the buckets. */
function forwardAndBackward(
  { replica, executor, buckets, loss, measure }: TrainStepContext,
  batch: BatchPlan,
  shards: readonly ActiveShard[],
  samples: readonly Samples[],
  afterLoss: () => void,
): void {
  const { config, data, objective } = replica;
  const { tf } = replica.engine;
  const context: StepContext = {
    training: true,
    step: batch.step,
    shards,
    gradient: (weight, shard, value) => buckets.add(weight, shard, value),
  };
  const inputs = measure('data', 'tensors', () =>
    samples.map(({ inputs, count }) => toTensors(tf, data.train.inputs, inputs, count)),
  );
  executor.train(context, perTensor(data.train.inputs.length, inputs), (outputs) => {
    const gradients = shards.map(({ local }, i): readonly Tensor[] => {
      const { targets = [], count = 0 } = samples[i] ?? {};
      const predictions = outputs.map((shardOutputs) => shardOutputs[i] as Tensor);
      const expected = toTensors(tf, data.train.targets, targets, count);
      const result = objective.compute(predictions, expected);
      const total = loss.inputs[local] ?? [];
      const metrics = config.trainMetrics ? objective.metricSums(predictions, expected) : [];
      for (const [at, value] of metrics.entries()) total[at] = (total[at] ?? 0) + value;
      total[0] = (total[0] ?? 0) + result.sum / batch.count;
      // The factor is 1 / global batch size, so that the gradients of all shards sum to the gradient of the mean loss.
      return result.gradients.map((gradient) => tf.mul(gradient, 1 / batch.count));
    });
    afterLoss();
    return perTensor(outputs.length, gradients);
  });
}

/**
 * Waits for the all-reduces of the step and adds the regularizers' penalties, which every worker computes by itself. `isFinite`
 * tells whether the loss and all elements of the gradient are finite. Each part of the gradient is checked while later parts are on
 * their way, so the check costs little time.
 */
function reduceGradients({
  replica,
  buckets,
  loss,
  regularization,
  measure,
}: Pick<TrainStepContext, 'replica' | 'buckets' | 'loss' | 'regularization' | 'measure'>): {
  gradient: PinnedVector;
  loss: number;
  isFinite: boolean;
} {
  const check = replica.engine.memory?.allFinite ?? allFinite;
  let badParts = 0;
  const reduced = buckets.finish((part) => {
    if (!check(part)) badParts++;
  });
  loss.wait();
  const mean = loss.output[0] ?? Number.NaN;
  if (!regularization)
    return { gradient: reduced, loss: mean, isFinite: badParts === 0 && Number.isFinite(mean) };
  const { gradient, penalty } = measure('update', 'regularization', () => regularization.add(reduced));
  const total = mean + penalty;
  return { gradient, loss: total, isFinite: badParts === 0 && Number.isFinite(total) && check(gradient) };
}
