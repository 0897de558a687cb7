/** Runs one worker without peers in this process, so that tests can inspect a training step. */
import os from 'node:os';
import { noFunctions } from '../../src/api/definition-functions.js';
import type { LoadedDefinition } from '../../src/api/load-definition.js';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import { runConfigSchema, type RunConfigInput } from '../../src/shared/config/run-config.js';
import type { BatchPlan } from '../../src/shared/data/sampler.js';
import type { SampleBuffers, TrainingData } from '../../src/shared/data/training-data.js';
import type { Plan } from '../../src/shared/protocol/messages.js';
import { MemoryControl, MemoryNetwork } from '../../src/shared/transport/memory.js';
import type { Communicator } from '../../src/worker/communicator/communicator.js';
import { InlineCommunicator } from '../../src/worker/communicator/inline-communicator.js';
import { engineHost } from '../../src/worker/engine/cache.js';
import { engineEnvironment } from '../../src/worker/engine/environment.js';
import type { Engine, EngineChoice } from '../../src/worker/engine/engine.js';
import { loadEngine } from '../../src/worker/engine/load.js';
import { buildReplica } from '../../src/worker/training/build-replica.js';
import type { GenerationContext, GenerationFaults } from '../../src/worker/training/generation-context.js';
import { joinGeneration } from '../../src/worker/training/join-generation.js';
import type { Replica } from '../../src/worker/training/replica.js';
import { useSoftwareGpu } from './software-gpu.js';

export async function engineFor(choice: EngineChoice): Promise<Engine> {
  Object.assign(process.env, engineEnvironment({ threads: 1, device: 'cpu' }));
  const host = engineHost(process.env, os.homedir());
  if (choice === 'webgpu') useSoftwareGpu();
  return loadEngine({
    choice,
    threads: 1,
    device: 'cpu',
    host,
    allowSoftwareGpu: true,
    warn: () => undefined,
  });
}

/** Random images of 8x8 in `classes` classes. */
export function syntheticData(count: number, classes = 10): TrainingData {
  const split = {
    count,
    inputs: [{ shape: [8, 8, 1], dtype: 'float32' as const }],
    targets: [{ shape: [], dtype: 'int32' as const, classes }],
    fill: (indices: Int32Array, { inputs: [inputs], targets: [labels] }: SampleBuffers) => {
      if (!inputs || !labels) return;
      for (const [i, index] of indices.entries()) {
        labels[i] = index % classes;
        for (let p = 0; p < 64; p++)
          inputs[i * 64 + p] = Math.sin(index * 12.9898 + p * 78.233 + (index % classes)) * 1.5;
      }
    },
  };
  return { name: 'synthetic', sha256: '0'.repeat(64), train: split, test: split };
}

export async function alone(
  engine: Engine,
  model: LoadedDefinition['model'],
  config: RunConfigInput,
  data: TrainingData,
  faults?: GenerationFaults,
): Promise<GenerationContext> {
  return joinAlone(await replicaOf(engine, model, config, data), faults);
}

/** A replica of `model` with the weights of the configuration's seed. */
export async function replicaOf(
  engine: Engine,
  model: LoadedDefinition['model'],
  config: RunConfigInput,
  data: TrainingData,
): Promise<Replica> {
  const resolved = resolveConfig(runConfigSchema.parse({ workers: 1, threads: 1, ...config }), {
    cores: 1,
    gpus: [],
  });
  const definition = {
    path: 'test',
    sha256: '0'.repeat(64),
    model,
    source: { load: () => Promise.resolve(data) },
    callbacks: [],
    functions: noFunctions,
    values: { ...config },
  };
  return buildReplica(engine, resolved, definition);
}

/**
 * Joins a generation of one worker, which has all shards.
 * @param observe returns the communicator that the worker uses in place of the given one
 */
export async function joinAlone(
  replica: Replica,
  faults?: GenerationFaults,
  observe: (communicator: Communicator) => Communicator = (communicator) => communicator,
): Promise<GenerationContext> {
  const { shards } = replica.config;
  const server = new MemoryControl();
  const communicator = new InlineCommunicator(server.client(), new MemoryNetwork());
  communicator.listen({
    message: () => undefined,
    failed: (error) => {
      throw error;
    },
  });
  const address = await communicator.openDataPlane({
    runId: '00000000-0000-4000-8000-000000000000',
    socketDirectory: null,
    maxFrameBytes: 2 ** 24,
    heartbeatMs: 60_000,
    sharedMemory: true,
    collective: 'auto',
    trace: false,
    coordinatorTimeoutMs: 3_600_000,
  });
  const plan: Plan = {
    generation: 1,
    rank: 0,
    shards,
    step: 0,
    source: null,
    restore: null,
    out: null,
    writer: 0,
    evaluated: { step: 0, splits: [] },
    workers: [{ rank: 0, shards: { start: 0, end: shards }, ...address, pid: process.pid, host: 'test' }],
  };
  await communicator.join(plan);
  return joinGeneration(replica, observe(communicator), plan, undefined, faults);
}

/** The samples of a whole batch of one input and one target, as the step reads them. */
export function batchOf(
  { reader, replica }: GenerationContext,
  plan: BatchPlan,
): { inputs: Float32Array; labels: Int32Array; shape: number[] } {
  const { inputs, targets, count } = reader.samplesAt(plan, { start: 0, end: plan.count });
  return {
    inputs: inputs[0] as Float32Array,
    labels: targets[0] as Int32Array,
    shape: [count, ...(replica.data.train.inputs[0]?.shape ?? [])],
  };
}
