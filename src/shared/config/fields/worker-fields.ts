/** Configuration fields of the workers: their number, their devices and the tensor engine that computes on them. */

import { z } from 'zod';
import { engineKinds } from '../engine-kinds.js';
import { fieldMetadata } from '../field-metadata.js';
import { positiveInt } from '../numbers.js';

export const workerFields = {
  workers: positiveInt(1024).nullable().default(null).register(fieldMetadata, {
    description: 'number of worker processes',
    flag: '--workers <n>',
    environment: 'LOCKSTEP_WORKERS',
    unit: 'workers',
    defaultText: 'one per GPU, 2 on CPU, 1 with the engine webgpu',
    resume: 'free',
  }),
  minWorkers: positiveInt(1024).default(1).register(fieldMetadata, {
    description: 'smallest number of connected workers; training pauses while there are fewer',
    flag: '--min-workers <n>',
    unit: 'workers',
    resume: 'free',
  }),
  devices: z
    .string()
    .regex(/^(auto|cpu|\d{1,3}(,\d{1,3})*)$/, 'must be auto, cpu, or GPU numbers such as 0,1')
    .default('auto')
    .register(fieldMetadata, {
      description: 'devices of the workers: auto, cpu, or GPU numbers such as 0,1',
      flag: '--devices <list>',
      environment: 'LOCKSTEP_DEVICES',
      resume: 'free',
    }),
  threads: positiveInt(1024).nullable().default(null).register(fieldMetadata, {
    description: 'TensorFlow threads per worker on CPU; results depend on this number',
    flag: '--threads <n>',
    environment: 'LOCKSTEP_THREADS',
    unit: 'threads',
    defaultText: 'cores / shards; in a job of several tasks, the cores of a task',
    resume: 'free',
  }),
  engine: z
    .enum(['auto', ...engineKinds])
    .default('auto')
    .register(fieldMetadata, {
      description:
        'tensor engine; auto: native TensorFlow if it is installed, otherwise WebAssembly; webgpu: the GPU of any vendor',
      flag: '--engine <name>',
      environment: 'LOCKSTEP_ENGINE',
      resume: 'free',
    }),
  allowSoftwareGpu: z.boolean().default(false).register(fieldMetadata, {
    description:
      'permission for the engine webgpu to use a driver that simulates a GPU on the CPU, for tests',
    flag: '--allow-software-gpu',
    environment: 'LOCKSTEP_ALLOW_SOFTWARE_GPU',
    resume: 'free',
  }),
  precision: z.enum(['float32', 'bfloat16']).default('float32').register(fieldMetadata, {
    description:
      'precision of convolutions and matrix products; weights, statistics, loss and optimizer stay in float32',
    flag: '--precision <type>',
    resume: 'free',
  }),
  balance: z.enum(['off', 'speed']).default('off').register(fieldMetadata, {
    description:
      "shard assignment; speed: by each worker's measured throughput, so that fast workers wait less; results stay the same",
    flag: '--balance <off|speed>',
    resume: 'free',
  }),
  onMismatch: z.enum(['fail', 'warn']).default('fail').register(fieldMetadata, {
    description:
      'reaction to workers that differ in engine, kernels, CPU family, threads or files of Lockstep and may therefore differ in results',
    flag: '--on-mismatch <fail|warn>',
    resume: 'free',
  }),
};
