/** Computes a training step again and examines its values. Changes no weight and sends no gradient. */

import type { Tensor } from '@tensorflow/tfjs-core';
import { allFinite } from '../../shared/arithmetic/finite.js';
import type { BatchPlan } from '../../shared/data/sampler.js';
import { allocatePinned } from '../../shared/memory/pinned-vector.js';
import { toTensors } from '../data/batch-reader.js';
import { perTensor, type ActiveShard, type StepContext } from '../executor/layer-op.js';
import type { Note } from './diagnosis-key.js';
import type { TrainStepContext } from './generation-context.js';

/**
 * Notes each layer output, loss, loss gradient and weight gradient that is not finite. All workers of the generation must call it,
 * because BatchNorm communicates.
 * @returns the names of the layers in forward order
 */
export function replayStep(
  context: TrainStepContext,
  batch: BatchPlan,
  microBatches: readonly (readonly ActiveShard[])[],
  note: Note,
): string[] {
  const { replica, executor, reader } = context;
  const { tf } = replica.engine;
  const layers: string[] = [];
  for (const [microBatch, shards] of microBatches.entries()) {
    const samples = shards.map(({ start, count }) => reader.samplesAt(batch, { start, end: start + count }));
    tf.tidy(() => {
      const specs = replica.data.train;
      const tensors = samples.map(({ inputs, count }) => toTensors(tf, specs.inputs, inputs, count));
      const inputs = perTensor(specs.inputs.length, tensors);
      executor.train(stepContext(context, batch, microBatch, shards, layers, note), inputs, (outputs) => {
        const gradients = shards.map(({ local }, i) => {
          const { targets = [], count = 0 } = samples[i] ?? {};
          const predictions = outputs.map((perShard) => perShard[i] as Tensor);
          const result = replica.objective.compute(predictions, toTensors(tf, specs.targets, targets, count));
          const shard = context.localShards.start + local;
          if (!Number.isFinite(result.sum)) note('loss', 0, microBatch, shard);
          if (!result.gradients.every(isFinite)) note('lossGradient', 0, microBatch, shard);
          return result.gradients.map((gradient) => tf.mul(gradient, 1 / batch.count));
        });
        return perTensor(outputs.length, gradients);
      });
    });
  }
  return layers;
}

function stepContext(
  { state, localShards }: TrainStepContext,
  { step }: BatchPlan,
  microBatch: number,
  shards: readonly ActiveShard[],
  layers: string[],
  note: Note,
): StepContext {
  const { parameters } = state.optimizer;
  const order = new Map(parameters.map(({ weight }, i) => [weight, i]));
  return {
    training: true,
    step,
    shards,
    observe: (node, layer, outputs) => {
      layers[node] = layer;
      for (const output of outputs) {
        for (const [i, { local }] of shards.entries()) {
          if (output[i] && !isFinite(output[i])) note('output', node, microBatch, localShards.start + local);
        }
      }
    },
    gradient: (weight, { local }, value) => {
      const index = order.get(weight) ?? 0;
      const size = parameters[index]?.size ?? 0;
      const written = typeof value === 'function' ? allocatePinned(size) : undefined;
      if (typeof value === 'function' && written) value(written);
      const finite = written
        ? allFinite(written)
        : value instanceof Float32Array
          ? allFinite(value)
          : isFinite(value as Tensor);
      if (!finite) note('gradient', index, microBatch, localShards.start + local);
    },
  };
}

/** Returns true if all values are finite. Only float32 tensors can hold other values. */
function isFinite(tensor: Tensor): boolean {
  return tensor.dtype !== 'float32' || allFinite(tensor.dataSync<'float32'>());
}
