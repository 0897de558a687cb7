/**
 * tfjs's WebGPU backend on Dawn's device, with four changes: values are read synchronously, shaders that add floats with atomic
 * operations and steps of too many operations are refused, and the flags select kernels with a fixed order of sums.
 */

import { createRequire, Module } from 'node:module';
import path from 'node:path';
import { EngineError, InvariantError } from '../../../shared/errors.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
import type { OpenDevice } from './device.js';
import type { GpuAdapterInfo, GpuBackend, GpuDevice } from './gpu-types.js';
import { backendEntry } from './packages.js';
import { ReadBatch } from './read-batch.js';

const ownRequire = createRequire(import.meta.url);

interface BackendModule {
  readonly WebGPUBackend: new (device: GpuDevice, info: GpuAdapterInfo) => GpuBackend;
}

interface Resolver {
  _resolveFilename(request: string, ...rest: unknown[]): string;
}

/** The product with a fixed order of sums (MatMulPackedProgram); the default may divide a sum and add its parts with atomics. */
const packedProduct = 3;

/** Creates the backend and makes it tfjs's current one. */
export async function startBackend(
  tf: Tensorflow,
  directory: string,
  { gpu, device, info, check }: OpenDevice,
): Promise<GpuBackend> {
  const { WebGPUBackend } = requireBackend(directory);
  // Small tensors would otherwise be computed on the CPU, with other roundings, depending on where their values are.
  tf.env().set('WEBGPU_CPU_FORWARD', false);
  tf.env().set('WEBGPU_MATMUL_PROGRAM_TYPE', packedProduct);
  const backend = withNavigator({ gpu }, () => new WebGPUBackend(device, info));
  backend.check = check;
  const readComplex = backend.readSync.bind(backend);
  // tfjs's own function reads the two parts of a complex tensor with this one, and everything else by way of a canvas.
  const prefetched: GpuBackend['prefetched'] = new WeakMap();
  backend.prefetched = prefetched;
  backend.readSync = (dataId) => {
    const values = prefetched.get(dataId);
    if (values) return values();
    if (backend.tensorMap.get(dataId).dtype === 'complex64') return readComplex(dataId);
    return new ReadBatch(backend).add(dataId)();
  };
  guardCommands(backend);
  tf.registerBackend('webgpu', () => backend);
  await tf.setBackend('webgpu');
  await tf.ready();
  return backend;
}

/** Loads tfjs's backend with the tfjs-core that Lockstep's tfjs uses; the cache of engines contains none. */
function requireBackend(directory: string): BackendModule {
  const core = ownRequire.resolve('@tensorflow/tfjs-core');
  const resolver = Module as unknown as Resolver;
  const resolve = resolver._resolveFilename;
  resolver._resolveFilename = (request, ...rest) =>
    request === '@tensorflow/tfjs-core' ? core : resolve.call(resolver, request, ...rest);
  try {
    return ownRequire(path.join(directory, backendEntry)) as BackendModule;
  } finally {
    resolver._resolveFilename = resolve;
  }
}

/** tfjs's constructor looks for `navigator.gpu`, which no other code needs. */
function withNavigator<T>(navigator: object, body: () => T): T {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { value: navigator, configurable: true });
  try {
    return body();
  } finally {
    Reflect.deleteProperty(globalThis, 'navigator');
    if (before) Object.defineProperty(globalThis, 'navigator', before);
  }
}

/**
 * The largest number of shaders between two turns of the event loop. Node frees the objects of a command only in such a turn, and a
 * process may have no more than 65530 areas of memory on Linux, of which a driver can need one per command.
 */
const maxCommands = 50_000;

/**
 * Refuses shaders that add with atomic operations; Lockstep replaces every kernel that has one (kernels/webgpu/registered.ts). Refuses
 * too many commands in one step, which would otherwise end the process without a message.
 */
export function guardCommands(backend: Pick<GpuBackend, 'runWebGPUProgram'>, limit = maxCommands): void {
  const run = backend.runWebGPUProgram.bind(backend);
  let commands = 0;
  backend.runWebGPUProgram = (program, ...rest) => {
    if (program.atomic === true)
      throw new InvariantError(
        `WebGPU: the shader ${program.constructor.name} adds with atomic operations, so its result depends on their order`,
      );
    if (commands === 0) setImmediate(() => (commands = 0));
    if (++commands > limit)
      throw new EngineError(
        `WebGPU: expected at most ${limit} operations in one step of a worker, got more. ` +
          'Give each worker fewer shards (--workers), reduce accumulate, or choose another engine with --engine.',
      );
    return run(program, ...rest);
  };
}
