/**
 * Loads the tensor engine that a process computes with: native TensorFlow, tfjs's WebAssembly backend or its pure-JavaScript
 * one. Owns the choice and the description of what was loaded. Importing this file loads no tfjs.
 */
import os from 'node:os';
import { EngineError, InvariantError } from '../../shared/errors.js';
import { loadNativeMemory, type NativeMemory } from '../../shared/memory/native-memory.js';
import { findEngine, findMemoryAddon, packageDirectory, type EngineHost, type FoundEngine } from './cache.js';
import { engineEnvironment, type EngineDevice } from './environment.js';
import { readManifest, verifyFiles } from './manifest.js';
import { requireJavaScript, requireNative, type Tensorflow } from './native.js';
import { startWasm } from './wasm.js';

export type EngineChoice = 'auto' | EngineKind;
export type EngineKind = 'tensorflow' | 'wasm' | 'js';

export interface LoadEngineOptions {
  /** `auto` takes native TensorFlow when it is installed, otherwise WebAssembly with a warning. */
  readonly choice: EngineChoice;
  /** Threads of one op; must agree with the environment (see `engineEnvironment`). */
  readonly threads: number;
  readonly device?: EngineDevice;
  readonly host: EngineHost;
  /** Told, in a few sentences, when a slower engine was taken. */
  readonly warn: (message: string) => void;
}

export interface EngineDeviceDescription {
  readonly kind: 'cpu' | 'gpu';
  readonly name: string;
  /** Threads of one op on the CPU; 1 where the engine has no more. */
  readonly threads: number;
}

export interface Engine {
  readonly kind: EngineKind;
  readonly tf: Tensorflow;
  /** The name tfjs knows the backend by: `tensorflow`, `wasm` or `cpu`. */
  readonly backendName: string;
  /** TensorFlow's version; that of tfjs for the other engines. Workers of one run must agree on it. */
  readonly version: string;
  readonly device: EngineDeviceDescription;
  /** Addresses and sums for native code, where the addon for them is installed. */
  readonly memory: NativeMemory | undefined;
  /** One line for people. */
  describe(): string;
}

export const installCommand = 'lockstep engine install';

/**
 * Loads the engine and makes it tfjs's current backend. Call once a process; takes about a second when native.
 * Throws EngineError when `tensorflow` was chosen and is absent, and when what is installed is damaged or doesn't
 * load: falling back then would hide a defect behind a slower run.
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
  if (found.from === 'cache')
    await verifyFiles(found.directory, await readManifest(found.directory), 'quick');
  const tf = requireNative(found.binding, packageDirectory(options.host));
  const backend = tf.backend() as unknown as {
    readonly isUsingGpuDevice: boolean;
    readonly binding: { readonly TF_Version: string };
  };
  const kind = backend.isUsingGpuDevice ? 'gpu' : 'cpu';
  const name = kind === 'gpu' ? 'GPU 0 of those visible' : cpuName();
  const device = { kind, name, threads: options.threads } as const;
  const memory = loadNativeMemory(findMemoryAddon(options.host));
  return describeEngine('tensorflow', tf, backend.binding.TF_Version, device, memory);
}

/** A thread count that TensorFlow never saw would change the bits of a run without a word. */
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
  return describeEngine('js', tf, tf.version['tfjs-core'], oneThread());
}

/** The addon for shared memory helps here too, where there is one; no bit depends on it. */
async function loadWasm({ host }: LoadEngineOptions): Promise<Engine> {
  const tf = requireJavaScript();
  await startWasm(tf);
  withoutBanner(tf);
  return describeEngine(
    'wasm',
    tf,
    tf.version['tfjs-core'],
    oneThread(),
    loadNativeMemory(findMemoryAddon(host)),
  );
}

const oneThread = (): EngineDeviceDescription => ({ kind: 'cpu', name: cpuName(), threads: 1 });

/** The backend prints "Hi, looks like you are running TensorFlow.js in Node.js" at its first write, but not in PROD. */
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
  return { kind, tf, backendName: tf.getBackend(), version, device, memory, describe };
}

function cpuName(): string {
  return os.cpus()[0]?.model.trim() ?? process.arch;
}
