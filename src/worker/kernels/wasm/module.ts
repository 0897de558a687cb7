/**
 * Lockstep's WebAssembly module over the memory of tfjs's WebAssembly backend. Both compute on the same heap, and a tensor is an
 * address in it. This file owns the instance and the scratch memory, and maps tensors to addresses.
 *
 * Growth of the heap detaches every typed array over it, so views are made right before their use and are never kept.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { DataType, Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { EngineError, invariant } from '../../../shared/errors.js';
import { elementCount } from '../../../shared/model/layout.js';
import type { Tensorflow } from '../../../api/tensorflow.js';
import { tensorOf } from '../tfjs-kernels.js';

/** This path is the same from src/worker/kernels/wasm and from dist/worker/kernels/wasm. */
const file = new URL('../../../../dist/wasm/kernels.wasm', import.meta.url);

/** An export of native/wasm/kernels/index.ts, which defines the arguments. Addresses and sizes are integers. */
type Function = (...args: (number | boolean)[]) => number;
type Functions = Readonly<Record<FunctionName, Function>>;
export type FunctionName =
  | 'adam'
  | 'biasAdd'
  | 'columnSums'
  | 'convolve'
  | 'filterGradient'
  | 'gradientSums'
  | 'hash'
  | 'inputGradient'
  | 'maxPool'
  | 'moments'
  | 'multiply'
  | 'multiplyTransposed'
  | 'normalize'
  | 'normalizeAndPool'
  | 'packPanels'
  | 'packRotatedFilter'
  | 'philoxUniform'
  | 'recurrenceBackward'
  | 'recurrenceForward'
  | 'pooledGradientSums'
  | 'pooledInputGradient'
  | 'relu'
  | 'reluGradient'
  | 'softmaxCrossEntropy';

/** The parts of tfjs-backend-wasm's backend that this module uses; the version is pinned. */
export interface WasmBackend {
  readonly wasm: {
    readonly asm: { readonly memory: WebAssembly.Memory };
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } | undefined };
  makeOutput(shape: readonly number[], dtype: DataType): TensorInfo;
}

/** Names of reusable blocks of memory. A block is as large as its largest use so far; each use overwrites its contents. */
export type ScratchName = 'frame' | 'panels' | 'table' | 'vectors' | 'gradient';

const modules = new WeakMap<object, WasmModule>();

/** One instance of the module. Its memory lives as long as the backend. */
export class WasmModule {
  readonly #tf: Tensorflow;
  readonly #backend: WasmBackend;
  readonly #scratch = new Map<ScratchName, { address: number; bytes: number }>();
  readonly run: Functions;
  /** First twelve hex digits of the module's SHA-256. Modules with equal hashes compute the same bits. */
  readonly hash: string;

  /**
   * Returns the module over the current backend, which must be tfjs's WebAssembly backend.
   * @throws EngineError if the module is not built
   */
  static of(tf: Tensorflow): WasmModule {
    const held = modules.get(tf.backend());
    if (held) return held;
    const made = new WasmModule(tf);
    modules.set(tf.backend(), made);
    return made;
  }

  private constructor(tf: Tensorflow) {
    this.#tf = tf;
    this.#backend = tf.backend() as unknown as WasmBackend;
    const bytes = readModule();
    this.hash = createHash('sha256').update(bytes).digest('hex').slice(0, 12);
    const { memory } = this.#backend.wasm.asm;
    const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory } });
    this.run = instance.exports as unknown as Functions;
  }

  /**
   * Returns the address of a tensor's elements, which is valid until the tensor is disposed.
   * @throws InvariantError if the tensor belongs to another backend
   */
  address({ dataId }: Pick<TensorInfo, 'dataId'>): number {
    const data = this.#backend.dataIdMap.get(dataId);
    invariant(data, 'the tensor is not one of the WebAssembly backend');
    return data.memoryOffset;
  }

  /**
   * Allocates a tensor's data with undefined elements. It belongs to the caller, who makes it a tensor or disposes it.
   * @throws EngineError if the heap has no memory left
   */
  info(shape: readonly number[], dtype: 'float32' | 'int32' = 'float32'): TensorInfo {
    const info = this.#backend.makeOutput([...shape], dtype);
    if (this.address(info) === 0 && elementCount(shape) > 0) throw outOfMemory(elementCount(shape) * 4);
    return info;
  }

  /**
   * Returns a new float32 tensor with undefined elements, in the current tfjs scope, and the address of its elements.
   * @throws EngineError if the heap has no memory left
   */
  output<T extends Tensor>(shape: readonly number[]): { tensor: T; to: number } {
    const info = this.info(shape);
    return { tensor: this.tensor<T>(info), to: this.address(info) };
  }

  /** Makes `info` a tensor in the current tfjs scope. */
  tensor<T extends Tensor>(info: TensorInfo): T {
    return tensorOf(this.#tf, info);
  }

  /**
   * Returns the address of a block of at least `bytes` bytes, valid until the next use of the same name.
   * @throws EngineError if the heap has no memory left
   */
  scratch(name: ScratchName, bytes: number): number {
    const held = this.#scratch.get(name);
    if (held && held.bytes >= bytes) return held.address;
    if (held) this.#backend.wasm._free(held.address);
    this.#scratch.delete(name);
    const address = this.allocate(bytes);
    this.#scratch.set(name, { address, bytes });
    return address;
  }

  /**
   * Returns the address of a new block, which the caller frees.
   * @throws EngineError if the heap has no memory left
   */
  allocate(bytes: number): number {
    const address = this.#backend.wasm._malloc(bytes) >>> 0;
    if (address === 0) throw outOfMemory(bytes);
    return address;
  }

  free(address: number): void {
    this.#backend.wasm._free(address);
  }

  /** Returns a view of `count` float32 values; it is invalid after the next allocation. So are the three below. */
  floats(address: number, count: number): Float32Array {
    return new Float32Array(this.#backend.wasm.asm.memory.buffer, address, count);
  }

  integers(address: number, count: number): Int32Array {
    return new Int32Array(this.#backend.wasm.asm.memory.buffer, address, count);
  }

  doubles(address: number, count: number): Float64Array {
    return new Float64Array(this.#backend.wasm.asm.memory.buffer, address, count);
  }

  bytes(address: number, count: number): Uint8Array {
    return new Uint8Array(this.#backend.wasm.asm.memory.buffer, address, count);
  }
}

function readModule(): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw new EngineError(
      `WebAssembly kernels: expected the module at ${file.pathname}, got none. Build it with \`npm run build\`.`,
      { path: file.pathname },
      cause,
    );
  }
}

function outOfMemory(bytes: number): EngineError {
  return new EngineError(
    `WebAssembly memory: expected ${bytes} free bytes, got fewer. Use a smaller --batch-size or more --workers.`,
    { bytes },
  );
}
