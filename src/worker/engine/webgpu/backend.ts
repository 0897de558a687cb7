/**
 * tfjs's WebGPU backend on Dawn's device, with three changes: values are read synchronously, shaders that add floats with atomic
 * operations are refused, and the flags select kernels with a fixed order of sums.
 */

import { createRequire, Module } from 'node:module';
import path from 'node:path';
import { InvariantError } from '../../../shared/errors.js';
import type { Tensorflow } from '../native.js';
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
  backend.readSync = (dataId) =>
    backend.tensorMap.get(dataId).dtype === 'complex64'
      ? readComplex(dataId)
      : new ReadBatch(backend).add(dataId)();
  refuseAtomicSums(backend);
  tf.registerBackend('webgpu', () => backend);
  await tf.setBackend('webgpu');
  await tf.ready();
  return backend;
}

/** Loads tfjs's backend with the tfjs-core that Lockstep's tfjs uses; the cache of engines contains none. */
function requireBackend(directory: string): BackendModule {
  const core = createRequire(ownRequire.resolve('@tensorflow/tfjs')).resolve('@tensorflow/tfjs-core');
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

/** Lockstep replaces every kernel that has such a shader (kernels/webgpu/registered.ts), so none may arrive here. */
function refuseAtomicSums(backend: GpuBackend): void {
  const run = backend.runWebGPUProgram.bind(backend);
  backend.runWebGPUProgram = (program, ...rest) => {
    if (program.atomic === true)
      throw new InvariantError(
        `WebGPU: the shader ${program.constructor.name} adds with atomic operations, so its result depends on their order`,
      );
    return run(program, ...rest);
  };
}
