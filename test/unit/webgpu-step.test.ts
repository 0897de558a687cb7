import type { LayersModel } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Engine } from '../../src/worker/engine/engine.js';
import type { Tensorflow } from '../../src/api/tensorflow.js';
import type { GpuBackend } from '../../src/worker/engine/webgpu/gpu-types.js';
import { readCounters } from '../../src/worker/engine/webgpu/read-batch.js';
import { PortableKernels } from '../../src/worker/kernels/portable.js';
import { buildObjective } from '../../src/worker/objective/build-objective.js';
import type { GenerationContext } from '../../src/worker/training/generation-context.js';
import { replicaHashes } from '../../src/worker/training/replica-hashes.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { warmUp } from '../../src/worker/training/warm-up.js';
import { engineFor, joinAlone, replicaOf, syntheticData } from '../support/in-process.js';
import { gpuTitle, missingGpu } from '../support/software-gpu.js';

const shards = 4;
const config = { batchSize: 8, shards, seed: 3, evaluate: 'none' as const };

function model({ tf }: { tf: Tensorflow }): LayersModel {
  return tf.sequential({
    layers: [
      tf.layers.conv2d({ inputShape: [8, 8, 1], filters: 4, kernelSize: 3, padding: 'same' }),
      tf.layers.batchNormalization(),
      tf.layers.reLU(),
      tf.layers.maxPooling2d({ poolSize: 2 }),
      tf.layers.flatten(),
      tf.layers.dropout({ rate: 0.3 }),
      tf.layers.dense({ units: 10 }),
    ],
  });
}

interface Work {
  readonly reads: number;
  readonly bytesRead: number;
  readonly dispatches: number;
  readonly bytesUploaded: number;
}

/** Counts what a step asks of the GPU. */
function workOf(engine: Engine, body: () => void): Work {
  const backend = engine.tf.backend() as unknown as GpuBackend;
  const { runWebGPUProgram, uploadToGPU } = backend;
  const before = { ...readCounters };
  const counts = { dispatches: 0, bytesUploaded: 0 };
  backend.runWebGPUProgram = (...given) => {
    counts.dispatches++;
    return runWebGPUProgram.apply(backend, given);
  };
  backend.uploadToGPU = (dataId) => {
    const { values, resource } = backend.tensorMap.get(dataId);
    if (values && !resource) counts.bytesUploaded += values.byteLength;
    uploadToGPU.call(backend, dataId);
  };
  try {
    body();
  } finally {
    Object.assign(backend, { runWebGPUProgram, uploadToGPU });
  }
  const [reads, bytesRead] = [readCounters.reads - before.reads, readCounters.bytes - before.bytes];
  return { ...counts, reads, bytesRead };
}

describe.skipIf(missingGpu !== undefined)(gpuTitle('a step on the engine webgpu'), () => {
  let engine: Engine;
  beforeAll(async () => {
    engine = await engineFor('webgpu');
  });

  const open = async (portable: boolean): Promise<GenerationContext> => {
    const replica = await replicaOf(engine, model, config, syntheticData(16));
    if (!portable) return joinAlone(replica);
    const kernels = new PortableKernels(engine.tf);
    const objective = buildObjective({ ...replica, kernels });
    return joinAlone({ ...replica, kernels, objective });
  };

  // This test comes first, because compiled shaders are kept for the whole process.
  it('compiles nothing that the warm-up has not compiled, has the same bits after it, and leaves no tensor', async () => {
    const { tf } = engine;
    const backend = tf.backend() as unknown as GpuBackend;
    const compiled = (): number => Object.keys(backend.pipelineCache).length;
    const replica = await replicaOf(engine, model, config, syntheticData(16));
    const empty = compiled();
    warmUp(replica);
    const warm = compiled();
    expect(warm).toBeGreaterThan(empty + 10);
    const context = await joinAlone(replica);
    const { numTensors } = tf.memory();
    trainStep(context, context.sampler.plan(1));
    expect(compiled()).toBe(warm);
    expect(tf.memory().numTensors).toBe(numTensors);
    const cold = await open(false);
    trainStep(cold, cold.sampler.plan(1));
    expect(replicaHashes(context.replica).weightsSha256).toBe(replicaHashes(cold.replica).weightsSha256);
  });

  it('needs at most half the dispatches, reads and bytes of the kernels composed from tfjs, and uploads fewer bytes', async () => {
    const [own, portable] = [await open(false), await open(true)];
    const first = trainStep(own, own.sampler.plan(1)).loss;
    expect(Math.abs(first - trainStep(portable, portable.sampler.plan(1)).loss)).toBeLessThan(1e-5);
    const step = (context: GenerationContext): Work => {
      // In the second step, the host reads parameters of the BatchNorm one by one, which are read together afterwards.
      trainStep(context, context.sampler.plan(2));
      return workOf(engine, () => void trainStep(context, context.sampler.plan(3)));
    };
    const [work, reference] = [step(own), step(portable)];
    // One read per shard for the loss, one for the parameters of the BatchNorm and the bias before it, one per direction of the BatchNorm,
    // and one for the only bucket of gradients.
    expect(work.reads).toBe(shards + 1 + 2 + 1);
    const gradients = 3 * 3 * 4 + 4 * 4 * 4 * 10 + 10;
    // The BatchNorm sums 128 rows in two blocks forwards, and the 32 rows after the pool in one block backwards, which are its gradients.
    const [losses, sums] = [config.batchSize / shards, (2 + 1) * 2 * 4];
    // The shards' gradients are added before they are read. The bias before the BatchNorm has none.
    expect(work.bytesRead).toBe(4 * (gradients + shards * (losses + sums) + 3 * 4));
    expect(work.bytesRead).toBeLessThanOrEqual(reference.bytesRead / 2);
    expect(work.reads).toBeLessThanOrEqual(reference.reads / 2);
    expect(work.dispatches).toBeLessThanOrEqual(reference.dispatches / 2);
    expect(work.bytesUploaded).toBeLessThan(reference.bytesUploaded);
  });
});
