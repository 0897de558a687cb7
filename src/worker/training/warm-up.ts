/**
 * Runs the passes of a training step once on zeros, before the worker is ready, for engines that compile their kernels at the first
 * use. The other workers would otherwise wait for the compiler in the first step. Changes nothing and communicates nothing.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import { bytesPerElement, vectorOver } from '../../shared/collectives/reduction.js';
import { InvariantError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import { hashBytes } from '../../shared/ledger/hash.js';
import { allocatePinned } from '../../shared/memory/pinned-vector.js';
import type { CollectiveHandle, CollectiveRegistrar } from '../communicator/communicator.js';
import { engines } from '../engine/engines.js';
import type { Kernels } from '../kernels/kernels.js';
import { Executor } from '../executor/executor.js';
import { perTensor, type StepContext } from '../executor/layer-op.js';
import { allocateSamples, toTensors } from '../data/batch-reader.js';
import { buildReplica } from './build-replica.js';
import type { Replica } from './replica.js';

/** Builds a replica, see `buildReplica`, and warms it up if its engine compiles kernels. */
export async function buildWarmReplica(...given: Parameters<typeof buildReplica>): Promise<Replica> {
  const replica = await buildReplica(...given);
  if (engines[replica.engine.kind].compilesKernels === true) warmUp(replica);
  return replica;
}

/** Uses as many samples as a shard of a full batch has, because some kernels depend on the shape. */
export function warmUp(replica: Replica): void {
  const { engine, kernels, config, model, data, objective, layout } = replica;
  const { tf } = engine;
  const executor = new Executor({
    tf,
    kernels,
    model,
    communicator: aloneRegistrar,
    seed: config.seed,
    frozenBatchNorm: config.frozenBatchNorm,
    arithmetic: config.arithmetic,
    logits: objective.logits,
  });
  const count = Math.ceil(config.batchSize / config.accumulate / config.shards);
  const { inputs, targets } = data.train;
  const zeros = allocateSamples(data.train, count);
  tf.tidy(() => {
    const step: StepContext = {
      training: true,
      step: 0,
      shards: [{ local: 0, start: 0, count }],
      gradient: (weight, _, value) => {
        if (value instanceof Float32Array) return;
        const target = allocatePinned(elementCount(layout[weight]?.shape ?? []));
        if (typeof value === 'function') value(target);
        else kernels.store(value, target);
      },
    };
    executor.train(
      step,
      perTensor(inputs.length, [toTensors(tf, inputs, zeros.inputs, count)]),
      (outputs) => {
        const predictions = outputs.map(([first]) => first as Tensor);
        const { gradients } = objective.compute(predictions, toTensors(tf, targets, zeros.targets, count));
        return perTensor(outputs.length, [
          gradients.map((gradient) => tf.mul(gradient, 1 / config.batchSize)),
        ]);
      },
    );
    kernels.completeStores();
  });
  warmUpAdam(kernels);
  warmUpSums(tf, kernels);
}

/** A worker with several shards may add their gradients on the device. */
function warmUpSums(tf: Replica['engine']['tf'], kernels: Kernels): void {
  const targets = [allocatePinned(1), allocatePinned(1)];
  const shards = { targets, subtrees: [{ start: 0, end: targets.length }] };
  tf.tidy(() => {
    for (const target of targets) kernels.store(tf.ones([1]), target, undefined, shards);
    kernels.completeStores();
  });
}

/** The kernels of Adam do not depend on the number of parameters. */
function warmUpAdam(kernels: Kernels): void {
  const [count, beta1, beta2] = [2, 0.9, 0.999];
  const adam = kernels.adam(new Float32Array(count), [count], beta1, beta2);
  const step = { stepSize: 0, correction: 1, epsilon: 1 };
  for (const updated of adam.apply(allocatePinned(count), step, new Uint8Array(hashBytes))) updated.dispose();
  adam.dispose();
}

/** Collectives of a worker with one shard: the result is its contribution. */
const aloneRegistrar: CollectiveRegistrar = {
  allocate: () => {
    throw new InvariantError('a warm-up sends no gradients');
  },
  tick: () => undefined,
  register: (spec: Omit<CollectiveSpec, 'id'>): CollectiveHandle => {
    const { reduction, elementCount: length } = spec;
    const vector = vectorOver(reduction, new ArrayBuffer(length * bytesPerElement(reduction)));
    const output = vectorOver(reduction, new ArrayBuffer(length * bytesPerElement(reduction)));
    return {
      spec: { ...spec, id: 0 },
      inputs: [vector],
      output,
      start: () => output.set(vector),
      wait: () => undefined,
    };
  },
};
