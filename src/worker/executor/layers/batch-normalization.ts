/**
 * BatchNormalization over the global batch (Ioffe & Szegedy 2015; synchronized as in PyTorch's SyncBatchNorm).
 *
 * Forward: each shard gives (count, mean, M2) of each channel; the tree merges them; all normalise by the same biased
 * variance. Backward: with N rows in all, s1 = sum(dy) and s2 = sum(dy * xhat) over all shards,
 *   dx = gamma / std * (dy - s1 / N - xhat * s2 / N).
 * The running statistics (unbiased variance, PyTorch's rule) change at commit, so an aborted step leaves no trace; tfjs's
 * own call() would write them during the forward pass.
 */

import type { Tensor, Tensor1D } from '@tensorflow/tfjs';
import { ModelError } from '../../../shared/errors.js';
import type { ExchangeHandle } from '../../communicator/communicator.js';
import {
  fieldsOf,
  only,
  type ActiveShard,
  type Forward,
  type LayerImplementation,
  type LayerOp,
  type LayerServices,
  type LayerVariable,
  type ShardedTensors,
  type StepContext,
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
  /** Rows over all shards. */
  readonly count: number;
  readonly mean: Float64Array;
  readonly biasedVariance: Float64Array;
}

export const batchNormalization: LayerImplementation = (layer, services) => {
  const fields = fieldsOf<BatchNormFields>(layer);
  const channels = fields.movingMean.shape[0] ?? 0;
  const inputShape = layer.inboundNodes[0]?.inputShapes;
  const rank = Array.isArray(inputShape) && Array.isArray(inputShape[0]) ? inputShape[0].length : inputShape?.length;
  if (fields.axis !== -1 && fields.axis !== (rank ?? 0) - 1) {
    throw new ModelError(
      `Layer "${layer.name}" (BatchNormalization): expected the last axis (channels last), got axis ${fields.axis}. ` +
        'Leave `axis` at its default.',
    );
  }
  const name = `${layer.name}@${services.nodeIndex}`;
  return new BatchNormOp(
    services,
    fields,
    channels,
    services.register({ name: `${name}/forward`, reduction: 'moments', elementCount: 1 + 2 * channels }),
    services.register({ name: `${name}/backward`, reduction: 'sum-float64', elementCount: 2 * channels }),
  );
};

class BatchNormOp implements LayerOp {
  readonly #services: LayerServices;
  readonly #fields: BatchNormFields;
  readonly #channels: number;
  readonly #moments: ExchangeHandle;
  readonly #sums: ExchangeHandle;
  #pending: GlobalStatistics | undefined;

  constructor(
    services: LayerServices,
    fields: BatchNormFields,
    channels: number,
    moments: ExchangeHandle,
    sums: ExchangeHandle,
  ) {
    this.#services = services;
    this.#fields = fields;
    this.#channels = channels;
    this.#moments = moments;
    this.#sums = sums;
  }

  forward(context: StepContext, inputs: ShardedTensors): Forward {
    const { tf, kernels } = this.#services;
    const { epsilon, movingMean, movingVariance } = this.#fields;
    if (!context.training) {
      const [mean, variance] = [movingMean.read() as Tensor1D, movingVariance.read() as Tensor1D];
      const outputs = context.shards.map((_, i) =>
        kernels.normalize(only(inputs, i), mean, variance, this.#gamma(), this.#beta(), epsilon),
      );
      return { outputs: [outputs], backward: () => [undefined] };
    }
    const statistics = this.#globalStatistics(context, inputs);
    this.#pending = statistics;
    const mean = tf.tensor1d(Float32Array.from(statistics.mean));
    const variance = tf.tensor1d(Float32Array.from(statistics.biasedVariance));
    const outputs = context.shards.map((_, i) =>
      kernels.normalize(only(inputs, i), mean, variance, this.#gamma(), this.#beta(), epsilon),
    );
    return {
      outputs: [outputs],
      backward: (gradients) => this.#backward(context, statistics, mean, variance, inputs, gradients),
    };
  }

  /** moving = momentum * moving + (1 - momentum) * batch. */
  commit(): void {
    const statistics = this.#pending;
    if (!statistics) return;
    this.#pending = undefined;
    const { count, mean, biasedVariance } = statistics;
    // A single row has no unbiased variance; PyTorch refuses it, we keep the biased one.
    const unbias = count > 1 ? count / (count - 1) : 1;
    this.#move(this.#fields.movingMean, mean, 1);
    this.#move(this.#fields.movingVariance, biasedVariance, unbias);
  }

  #globalStatistics(context: StepContext, inputs: ShardedTensors): GlobalStatistics {
    const channels = this.#channels;
    zeroInactive(this.#moments, context.shards);
    for (const [i, shard] of context.shards.entries()) {
      const x = only(inputs, i);
      const rows = x.size / channels;
      const { mean, unbiasedVariance } = this.#services.kernels.moments(x);
      const vector = this.#moments.inputs[shard.local];
      if (!vector) continue;
      vector[0] = rows;
      for (let c = 0; c < channels; c++) {
        vector[1 + c] = mean[c] ?? 0;
        vector[1 + channels + c] = (unbiasedVariance[c] ?? 0) * (rows - 1);
      }
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
    context: StepContext,
    { count, biasedVariance }: GlobalStatistics,
    mean: Tensor1D,
    variance: Tensor1D,
    inputs: ShardedTensors,
    gradients: ShardedTensors,
  ): Tensor[][] {
    const { tf, kernels, weightIndex } = this.#services;
    const { epsilon, gamma, beta } = this.#fields;
    const channels = this.#channels;
    zeroInactive(this.#sums, context.shards);
    for (const [i, shard] of context.shards.entries()) {
      const sums = kernels.normalizeSums(only(gradients, i), only(inputs, i), mean, variance, epsilon);
      this.#sums.inputs[shard.local]?.set(sums.dy, 0);
      this.#sums.inputs[shard.local]?.set(sums.dyNormalized, channels);
      if (beta?.trainable) context.gradient(weightIndex(beta), shard, sums.dy);
      if (gamma?.trainable) context.gradient(weightIndex(gamma), shard, sums.dyNormalized);
    }
    this.#sums.start(context.step);
    this.#sums.wait();
    const totals = this.#sums.output;
    const gammas = this.#gamma().dataSync<'float32'>();
    const [a, b, c] = [0, 1, 2].map(() => new Float32Array(channels)) as [Float32Array, Float32Array, Float32Array];
    for (let channel = 0; channel < channels; channel++) {
      const inverseStd = 1 / Math.sqrt((biasedVariance[channel] ?? 0) + epsilon);
      const scale = (gammas[channel] ?? 1) * inverseStd;
      a[channel] = scale;
      b[channel] = (-scale * inverseStd * (totals[channels + channel] ?? 0)) / count;
      c[channel] = (-scale * (totals[channel] ?? 0)) / count;
    }
    const [aTensor, bTensor, cTensor] = [tf.tensor1d(a), tf.tensor1d(b), tf.tensor1d(c)];
    const results = context.shards.map((_, i) =>
      kernels.normalizeInputGradient(only(gradients, i), only(inputs, i), mean, aTensor, bTensor, cTensor),
    );
    return [results];
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

  #gamma(): Tensor1D {
    return (this.#fields.gamma?.read() ?? this.#services.tf.ones([this.#channels])) as Tensor1D;
  }

  #beta(): Tensor1D {
    return (this.#fields.beta?.read() ?? this.#services.tf.zeros([this.#channels])) as Tensor1D;
  }
}

/** An empty shard takes part with zeros: count 0 for the moments, nothing to add for the sums. */
function zeroInactive(exchange: ExchangeHandle, active: readonly ActiveShard[]): void {
  for (const [local, vector] of exchange.inputs.entries()) {
    if (!active.some((shard) => shard.local === local)) vector.fill(0);
  }
}
