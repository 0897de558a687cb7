/**
 * BatchNormalization over the global batch, or over each micro-batch with `accumulate` (Ioffe & Szegedy 2015; synchronized as in PyTorch's
 * SyncBatchNorm).
 *
 * Forward: each shard contributes (count, mean, M2) per channel; the tree merges them, and all shards are normalized with the
 * same biased variance. Backward: with N rows in total, s1 = sum(dy) and s2 = sum(dy * xhat) over all shards,
 *   dx = gamma / std * (dy - s1 / N - xhat * s2 / N).
 * A ReLU or ReLU6 and a 2x2 max-pool that follow are computed in the same passes (see fusion.ts); dy is then the gradient
 * of BatchNorm's own output, the input of the activation.
 * The running statistics change in `commit`, so an aborted step leaves no trace. tfjs's own call() would write them during the forward
 * pass. With tfjs's arithmetic, the running variance is the biased one. With PyTorch's rule, it is the unbiased one.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { ModelError } from '../../../shared/errors.js';
import type { CollectiveHandle } from '../../communicator/communicator.js';
import type { BatchNormPass } from '../../kernels/kernels.js';
import { fieldsOf, type LayerVariable } from '../layer.js';
import {
  singleTensor,
  type ActiveShard,
  type Forward,
  type LayerImplementation,
  type LayerOp,
  type LayerServices,
  type ShardedTensors,
  type PassContext,
} from '../layer-op.js';

interface BatchNormFields {
  readonly axis: number;
  readonly momentum: number;
  readonly epsilon: number;
  readonly gamma: LayerVariable | null | undefined;
  readonly beta: LayerVariable | null | undefined;
  readonly movingMean: LayerVariable;
  readonly movingVariance: LayerVariable;
}

interface GlobalStatistics {
  /** Number of rows over all shards. */
  readonly count: number;
  readonly mean: Float64Array;
  readonly biasedVariance: Float64Array;
}

export const batchNormalization: LayerImplementation = (layer, services) => {
  const fields = fieldsOf<BatchNormFields>(layer);
  const channels = fields.movingMean.shape[0] ?? 0;
  const rank = services.node.inputShapes[0]?.length ?? 0;
  if (fields.axis !== -1 && fields.axis !== rank - 1) {
    throw new ModelError(
      `Layer "${layer.name}" (BatchNormalization): expected the last axis (channels last), got axis ${fields.axis}. ` +
        'Leave `axis` at its default.',
    );
  }
  const name = `${layer.name}@${services.node.index}`;
  return new BatchNormOp(
    services,
    fields,
    channels,
    services.register({ name: `${name}/forward`, reduction: 'moments', elementCount: 1 + 2 * channels }),
    services.register({ name: `${name}/backward`, reduction: 'sum-float64', elementCount: 2 * channels }),
  );
};

class BatchNormOp implements LayerOp {
  readonly overlapsCommunication = true;
  readonly #services: LayerServices;
  readonly #fields: BatchNormFields;
  readonly #channels: number;
  readonly #moments: CollectiveHandle;
  readonly #sums: CollectiveHandle;
  /** Statistics of the step so far, one entry per micro-batch. An aborted step discards the executor and with it this op. */
  #pending: GlobalStatistics[] = [];

  constructor(
    services: LayerServices,
    fields: BatchNormFields,
    channels: number,
    moments: CollectiveHandle,
    sums: CollectiveHandle,
  ) {
    this.#services = services;
    this.#fields = fields;
    this.#channels = channels;
    this.#moments = moments;
    this.#sums = sums;
  }

  forward(context: PassContext, inputs: ShardedTensors): Forward {
    const { kernels, node } = this.#services;
    const { training } = context;
    const statistics = training ? this.#globalStatistics(context, inputs) : this.#runningStatistics();
    if (training) this.#pending.push(statistics);
    const affine = this.#affine(statistics);
    const passes = context.shards.map((_, i) =>
      kernels.batchNorm(singleTensor(inputs, i), affine, node, training),
    );
    return {
      outputs: [passes.map(({ y }) => y)],
      backward: (gradients) => this.#backward(context, statistics, passes, gradients),
    };
  }

  /** Sets moving = momentum * moving + (1 - momentum) * batch, once per micro-batch. */
  commit(): void {
    const bias = this.#services.node.cancelledBias?.read().dataSync<'float32'>();
    const isUnbiased = this.#services.arithmetic === 'pytorch';
    for (const { count, mean, biasedVariance } of this.#pending) {
      // A single row has no unbiased variance. PyTorch refuses it; the biased one is kept here.
      const unbias = isUnbiased && count > 1 ? count / (count - 1) : 1;
      this.#move(this.#fields.movingMean, bias ? mean.map((value, c) => value + (bias[c] ?? 0)) : mean, 1);
      this.#move(this.#fields.movingVariance, biasedVariance, unbias);
    }
    this.#pending = [];
  }

  #runningStatistics(): GlobalStatistics {
    const { movingMean, movingVariance } = this.#fields;
    return {
      count: 0,
      mean: Float64Array.from(movingMean.read().dataSync<'float32'>()),
      biasedVariance: Float64Array.from(movingVariance.read().dataSync<'float32'>()),
    };
  }

  /** Returns [mean, gamma / std, beta], each with one value per channel. */
  #affine({ mean, biasedVariance }: GlobalStatistics): Float32Array {
    const channels = this.#channels;
    const affine = new Float32Array(3 * channels);
    const gamma = this.#fields.gamma?.read().dataSync<'float32'>();
    const beta = this.#fields.beta?.read().dataSync<'float32'>();
    for (let c = 0; c < channels; c++) {
      affine[c] = mean[c] ?? 0;
      affine[channels + c] = (gamma?.[c] ?? 1) * this.#inverseStd(biasedVariance, c);
      affine[2 * channels + c] = beta?.[c] ?? 0;
    }
    return affine;
  }

  #inverseStd(biasedVariance: Float64Array, channel: number): number {
    return 1 / Math.sqrt((biasedVariance[channel] ?? 0) + this.#fields.epsilon);
  }

  #globalStatistics(context: PassContext, inputs: ShardedTensors): GlobalStatistics {
    const channels = this.#channels;
    const { kernels } = this.#services;
    zeroInactive(this.#moments, context.shards);
    // An engine can read the moments of all shards together.
    const moments = context.shards.map((_, i) => kernels.moments(singleTensor(inputs, i)));
    for (const [i, shard] of context.shards.entries()) {
      const vector = this.#moments.inputs[shard.local];
      const shardMoments = moments[i];
      if (!vector || !shardMoments) continue;
      vector[0] = singleTensor(inputs, i).size / channels;
      vector.set(shardMoments.mean, 1);
      vector.set(shardMoments.m2, 1 + channels);
    }
    this.#moments.start(context.step);
    this.#moments.wait();
    const merged = this.#moments.output as Float64Array;
    const count = merged[0] ?? 0;
    return {
      count,
      mean: merged.slice(1, 1 + channels),
      biasedVariance: merged.slice(1 + channels).map((m2) => m2 / count),
    };
  }

  #backward(
    context: PassContext,
    { count, biasedVariance }: GlobalStatistics,
    passes: readonly BatchNormPass[],
    gradients: ShardedTensors,
  ): (Tensor[] | undefined)[] {
    const { weightIndex, needsInputGradient } = this.#services;
    const { gamma, beta } = this.#fields;
    const channels = this.#channels;
    zeroInactive(this.#sums, context.shards);
    const sums = passes.map((pass, i) => pass.sums(singleTensor(gradients, i)));
    for (const [i, shard] of context.shards.entries()) {
      const { dz, dzCentred } = sums[i] as ReturnType<BatchNormPass['sums']>;
      const dzNormalized = dzCentred.map((sum, c) => sum * this.#inverseStd(biasedVariance, c));
      this.#sums.inputs[shard.local]?.set(dz, 0);
      this.#sums.inputs[shard.local]?.set(dzNormalized, channels);
      if (beta?.trainable) context.gradient(weightIndex(beta), shard, Float32Array.from(dz));
      if (gamma?.trainable) context.gradient(weightIndex(gamma), shard, Float32Array.from(dzNormalized));
    }
    this.#sums.start(context.step);
    context.runDeferred();
    this.#sums.wait();
    if (!needsInputGradient) return [undefined];
    const totals = this.#sums.output;
    const gammas = gamma?.read().dataSync<'float32'>();
    const coefficients = new Float32Array(3 * channels);
    for (let c = 0; c < channels; c++) {
      const inverseStd = this.#inverseStd(biasedVariance, c);
      const scale = (gammas?.[c] ?? 1) * inverseStd;
      coefficients[c] = scale;
      coefficients[channels + c] = (-scale * inverseStd * (totals[channels + c] ?? 0)) / count;
      coefficients[2 * channels + c] = (-scale * (totals[c] ?? 0)) / count;
    }
    return [passes.map(({ inputGradient }, i) => inputGradient(singleTensor(gradients, i), coefficients))];
  }

  #move(variable: LayerVariable, batch: Float64Array, factor: number): void {
    const { tf } = this.#services;
    const { momentum } = this.#fields;
    tf.tidy(() => {
      const moving = Float32Array.from(variable.read().dataSync<'float32'>());
      for (let c = 0; c < moving.length; c++) {
        moving[c] = momentum * (moving[c] ?? 0) + (1 - momentum) * factor * (batch[c] ?? 0);
      }
      variable.write(tf.tensor1d(moving));
    });
  }
}

/** Fills the inputs of empty shards with zeros: count 0 for the moments, no contribution to the sums. */
function zeroInactive(collective: CollectiveHandle, active: readonly ActiveShard[]): void {
  for (const [local, vector] of collective.inputs.entries()) {
    if (!active.some((shard) => shard.local === local)) vector.fill(0);
  }
}
