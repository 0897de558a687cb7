/**
 * Loads the tensor engine that a process computes with: native TensorFlow, tfjs's WebAssembly backend or its pure-JavaScript
 * one. Makes the choice and describes the loaded engine. Importing this file loads no tfjs.
 */
import os from 'node:os';
import { EngineError, InvariantError } from '../../shared/errors.js';
import type { Entries } from '../../shared/identity/fingerprint.js';
import { loadNativeMemory, type NativeMemory } from '../../shared/memory/native-memory.js';
import { findEngine, findMemoryAddon, packageDirectory, type EngineHost, type FoundEngine } from './cache.js';
import { nativeFiles, tfjsVersions, wasmFiles } from './engine-files.js';
import { engineEnvironment, type EngineDevice } from './environment.js';
import { readManifest, verifyFiles, type EngineManifest } from './manifest.js';
import { requireJavaScript, requireNative, type Tensorflow } from './native.js';
import { engineFault, requireTrusted } from './trust.js';
import { startWasm } from './wasm.js';

export type EngineChoice = 'auto' | EngineKind;
export type EngineKind = 'tensorflow' | 'wasm' | 'js';

export interface LoadEngineOptions {
  /** `auto` selects native TensorFlow if it is installed, otherwise WebAssembly with a warning. */
  readonly choice: EngineChoice;
  /** Number of threads of one op; must agree with the environment (see `engineEnvironment`). */
  readonly threads: number;
  readonly device?: EngineDevice;
  readonly host: EngineHost;
  /** Called with a message when a slower engine was selected. */
  readonly warn: (message: string) => void;
}

export interface EngineDeviceDescription {
  readonly kind: 'cpu' | 'gpu';
  readonly name: string;
  /** Number of threads of one op on the CPU. */
  readonly threads: number;
}

export interface Engine {
  readonly kind: EngineKind;
  readonly tf: Tensorflow;
  /** tfjs's name of the backend: `tensorflow`, `wasm` or `cpu`. */
  readonly backendName: string;
  /** TensorFlow's version, or tfjs's for the other engines. Workers of one run must agree on it. */
  readonly version: string;
  readonly device: EngineDeviceDescription;
  /** The native addon for addresses and sums, if it is installed. */
  readonly memory: NativeMemory | undefined;
  /** Versions of tfjs's packages and hashes of the binaries that compute, by name. */
  readonly files: Entries;
  /** Description of the engine in one line. */
  describe(): string;
}

export const installCommand = 'lockstep engine install';

/**
 * Loads the engine and makes it tfjs's current backend. Call it once per process; native TensorFlow takes about a second.
 * @throws EngineError if `tensorflow` was chosen and is absent, or if the installed engine is damaged or does not load: a
 * fallback would hide a defect behind a slower run
 */
export async function loadEngine(options: LoadEngineOptions): Promise<Engine> {
  if (options.choice === 'js') return loadJavaScript();
  if (options.choice === 'wasm') return loadWasm(options);
  const found = findEngine(options.host);
  if (found !== undefined) return loadNative(found, options);
  if (options.choice === 'tensorflow') throw absent(options.host);
  options.warn(
    'Native TensorFlow is not installed: computing in WebAssembly, one thread a worker, several times slower, so give every ' +
      `core a worker (--workers). Run \`${installCommand}\` for native speed and GPUs, or choose with --engine.`,
  );
  return loadWasm(options);
}

function absent(host: EngineHost): EngineError {
  const without = packageDirectory(host) === undefined ? ' (and no tfjs-node-gpu package)' : '';
  return new EngineError(
    `Loading TensorFlow: expected an installed native engine, got none${without}. ` +
      `Run \`${installCommand}\`, or choose WebAssembly with \`--engine wasm\`.`,
  );
}

async function loadNative(found: FoundEngine, options: LoadEngineOptions): Promise<Engine> {
  requireEnvironment(options);
  const manifest = found.from === 'cache' ? await readVerified(found.directory) : undefined;
  const tf = requireNative(found.binding, packageDirectory(options.host));
  const backend = tf.backend() as unknown as {
    readonly isUsingGpuDevice: boolean;
    readonly binding: { readonly TF_Version: string };
  };
  const kind = backend.isUsingGpuDevice ? 'gpu' : 'cpu';
  const name = kind === 'gpu' ? 'GPU 0 of those visible' : cpuName();
  const device = { kind, name, threads: options.threads } as const;
  const memory = loadNativeMemory(findMemoryAddon(options.host));
  return describeEngine(
    'tensorflow',
    tf,
    backend.binding.TF_Version,
    device,
    await nativeFiles(found.binding, manifest),
    memory,
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

async function loadJavaScript(): Promise<Engine> {
  const tf = requireJavaScript();
  await tf.setBackend('cpu');
  await tf.ready();
  withoutBanner(tf);
  return describeEngine('js', tf, tf.version['tfjs-core'], oneThread(), {});
}

/** Loads the addon for shared memory for the other engines as well, if it is installed; no bit depends on it. */
async function loadWasm({ host, warn }: LoadEngineOptions): Promise<Engine> {
  const cached = findEngine(host);
  const fault = cached?.from === 'cache' ? engineFault(cached.directory) : undefined;
  if (fault !== undefined)
    warn(`Workers of this host do not share memory: the addon is not loaded, since ${fault}.`);
  const tf = requireJavaScript();
  // Some kernels run in tfjs's JavaScript backend, which greets as well.
  await tf.setBackend('cpu');
  withoutBanner(tf);
  await startWasm(tf);
  withoutBanner(tf);
  return describeEngine(
    'wasm',
    tf,
    tf.version['tfjs-core'],
    oneThread(),
    wasmFiles(),
    loadNativeMemory(findMemoryAddon(host)),
  );
}

const oneThread = (): EngineDeviceDescription => ({ kind: 'cpu', name: cpuName(), threads: 1 });

/** Sets PROD, because otherwise the backend prints a greeting at its first write. */
function withoutBanner(tf: Tensorflow): void {
  const production = tf.env().getBool('PROD');
  tf.env().set('PROD', true);
  tf.scalar(0).dispose();
  tf.env().set('PROD', production);
}

function describeEngine(
  kind: Engine['kind'],
  tf: Tensorflow,
  version: string,
  device: EngineDeviceDescription,
  binaries: Entries,
  memory?: NativeMemory,
): Engine {
  const describe = (): string => {
    const what = {
      tensorflow: `TensorFlow ${version}`,
      wasm: `WebAssembly (tfjs ${version})`,
      js: `pure JavaScript (tfjs ${version})`,
    }[kind];
    const threads = device.threads === 1 ? '1 thread' : `${device.threads} threads`;
    return `${what} on ${device.kind.toUpperCase()}, ${device.name}, ${threads}`;
  };
  const files = { ...tfjsVersions(tf), ...binaries };
  return { kind, tf, backendName: tf.getBackend(), version, device, memory, files, describe };
}

function cpuName(): string {
  return os.cpus()[0]?.model.trim() ?? process.arch;
}
