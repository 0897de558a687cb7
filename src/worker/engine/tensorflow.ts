/** The engine `tensorflow`: native TensorFlow through tfjs-node-gpu's binding, on CPU and on NVIDIA GPUs. */

import { EngineError, InvariantError } from '../../shared/errors.js';
import { loadNativeMemory, type NativeMemory } from '../../shared/memory/native-memory.js';
import { borrowFromCpu } from '../kernels/borrow-from-cpu.js';
import { TensorflowKernels } from '../kernels/tensorflow.js';
import { isRegistered } from '../kernels/tfjs-kernels.js';
import { findEngine, findMemoryAddon, installCommand, packageDirectory, type EngineHost } from './cache.js';
import { requireDevice } from './cuda.js';
import { cpuName, describeEngine } from './describe-engine.js';
import type { Engine, EngineDefinition, LoadEngineOptions } from './engine.js';
import { nativeFiles } from './engine-files.js';
import { engineEnvironment } from './environment.js';
import { readManifest, verifyFiles, type EngineManifest } from './manifest.js';
import { requireNative } from './native.js';
import { thisProcessor } from './processor.js';
import { requireTrusted } from './trust.js';

/** Kernels that tfjs-node lacks: that of CategoryEncoding. They run in JavaScript, which is enough for a layer at the input. */
const lackingKernels = ['DenseBincount'] as const;

export const tensorflow: EngineDefinition = {
  precisions: ['float32', 'bfloat16'],
  load: loadTensorflow,
  kernels: ({ tf, memory }, precision) => new TensorflowKernels(tf, memory, precision),
  processor: thisProcessor,
};

/** Takes about a second. @throws EngineError if it is absent, damaged or does not load */
async function loadTensorflow(options: LoadEngineOptions): Promise<Engine> {
  const found = findEngine(options.host);
  if (found === undefined) throw absent(options.host);
  requireEnvironment(options);
  const manifest = found.from === 'cache' ? await readVerified(found.directory) : undefined;
  const memory = loadNativeMemory(findMemoryAddon(options.host));
  shieldFromSignals(memory, options.warn);
  const tf = requireNative(found.binding, packageDirectory(options.host));
  // The package makes it the current backend when it is loaded for the first time.
  await tf.setBackend('tensorflow');
  for (const name of lackingKernels)
    if (!isRegistered(tf, name, 'tensorflow')) borrowFromCpu(tf, name, 'tensorflow');
  const backend = tf.backend() as unknown as {
    readonly isUsingGpuDevice: boolean;
    readonly binding: { readonly TF_Version: string };
  };
  const kind = backend.isUsingGpuDevice ? 'gpu' : 'cpu';
  await requireDevice(found, options.device ?? 'auto', backend.isUsingGpuDevice, options.warn);
  const name = kind === 'gpu' ? 'GPU 0 of those visible' : cpuName();
  const version = backend.binding.TF_Version;
  return describeEngine(tf, `TensorFlow ${version}`, {
    kind: 'tensorflow',
    version,
    device: { kind, name, threads: options.threads },
    files: await nativeFiles(found.binding, manifest),
    memory,
  });
}

/**
 * A signal that interrupts one of TensorFlow's matrix products damages the heap (native/signals.cc). Called before TensorFlow starts its
 * threads, which inherit the protection.
 */
function shieldFromSignals(memory: NativeMemory | undefined, warn: (message: string) => void): void {
  if (memory?.shieldFromSignals) memory.shieldFromSignals();
  else if (process.platform !== 'win32')
    warn(
      'The native addon is not loaded, so a signal that arrives during a matrix product can end this process without a checkpoint. ' +
        'Run `lockstep engine install --force`.',
    );
}

function absent(host: EngineHost): EngineError {
  const without = packageDirectory(host) === undefined ? ' (and no tfjs-node-gpu package)' : '';
  return new EngineError(
    `Loading TensorFlow: expected an installed native engine, got none${without}. ` +
      `Run \`${installCommand}\`, or choose WebAssembly with \`--engine wasm\`.`,
  );
}

/** Returns the manifest of a cached engine whose files match it. @throws EngineError if they do not, or others can change them */
async function readVerified(directory: string): Promise<EngineManifest> {
  requireTrusted(directory);
  const manifest = await readManifest(directory);
  await verifyFiles(directory, manifest, 'quick');
  return manifest;
}

/** Checks the environment: a thread count that did not reach TensorFlow would silently change the bits of a run. */
function requireEnvironment({ host, threads, device = 'auto' }: LoadEngineOptions): void {
  if (host.variables === undefined) return;
  const logLevel = host.variables['TF_CPP_MIN_LOG_LEVEL'];
  for (const [name, expected] of Object.entries(engineEnvironment({ threads, device, logLevel }))) {
    const got = host.variables[name];
    if (name === 'TF_CPP_MIN_LOG_LEVEL' || got === expected) continue;
    throw new InvariantError(
      `Environment before the engine's load: expected ${name}=${expected}, got ${got ?? 'nothing'}.`,
    );
  }
}
