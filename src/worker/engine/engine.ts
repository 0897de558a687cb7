/** The types of a tensor engine: the definition that the table of engines contains, and the loaded engine of a process. */

import type { EngineKind } from '../../shared/config/engine-kinds.js';
import type { Precision } from '../../shared/config/run-config.js';
import type { Entries } from '../../shared/identity/fingerprint.js';
import type { NativeMemory } from '../../shared/memory/native-memory.js';
import type { WorkerIdentity } from '../../shared/protocol/messages.js';
import type { Kernels } from '../kernels/kernels.js';
import type { EngineHost } from './cache.js';
import type { EngineDevice } from './environment.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { AdapterChoice } from './webgpu/adapters.js';

export type EngineChoice = 'auto' | EngineKind;

export interface LoadEngineOptions {
  /** `auto` selects native TensorFlow if it is installed, otherwise WebAssembly with a warning. */
  readonly choice: EngineChoice;
  /** Number of threads of one op; must agree with the environment (see `engineEnvironment`). */
  readonly threads: number;
  readonly device?: EngineDevice;
  readonly host: EngineHost;
  /** Permits the engine `webgpu` to use an adapter that computes on the CPU. */
  readonly allowSoftwareGpu?: boolean;
  /** The adapter of the engine `webgpu`; default: the one that the system prefers. */
  readonly adapter?: AdapterChoice;
  /**
   * Called repeatedly with the path of its lock while another process installs TensorFlow, and then with null; default: one call of
   * `warn`.
   */
  readonly onWait?: (lock: string | null) => void;
  /** Called with a message when a slower engine was selected. */
  readonly warn: (message: string) => void;
}

export interface EngineDeviceDescription {
  readonly kind: 'cpu' | 'gpu';
  readonly name: string;
  /** Number of threads of one op on the CPU. */
  readonly threads: number;
  /** True if a driver simulates the GPU on the CPU. */
  readonly isSoftware?: boolean;
}

export interface Engine {
  readonly kind: EngineKind;
  readonly tf: Tensorflow;
  /** tfjs's name of the backend: `tensorflow`, `wasm`, `cpu` or `webgpu`. */
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

/** The part of a worker's identity that describes its processor. */
export type ProcessorIdentity = Pick<WorkerIdentity, 'cpu' | 'instructions'>;

/** One entry of the table of engines (engines.ts): all properties in which engines differ. */
export interface EngineDefinition {
  /** True if kernels are compiled at their first use, which a worker then does before it joins a run. */
  readonly compilesKernels?: boolean;
  /** Precisions of products and convolutions that the engine can compute in. */
  readonly precisions: readonly Precision[];
  /**
   * Loads the engine and makes it tfjs's current backend. Called at most once per process.
   * @throws EngineError if the engine is absent, damaged or does not compute
   */
  load(options: LoadEngineOptions): Promise<Engine>;
  /** Creates the kernels on a loaded engine of this kind; `precision` is one of `precisions`. */
  kernels(engine: Engine, precision: Precision): Kernels;
  /** Describes the processor of this machine as far as the bits of the loaded engine depend on it. */
  processor(engine: Engine): ProcessorIdentity;
}
