/**
 * Lockstep's own WebAssembly module over the memory of tfjs's WebAssembly backend: both compute on the same heap, and a tensor is an
 * address in it. Owns the instance, the scratch memory and the way from tensors to addresses.
 *
 * Growth of the heap detaches every typed array over it: views are made where they are used and never kept.
 */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { DataType, Tensor, TensorInfo } from '@tensorflow/tfjs';
import { EngineError, invariant } from '../../../shared/errors.js';
import { elementCount } from '../../../shared/model/layout.js';
import type { Tensorflow } from '../../engine/native.js';

/** From src/worker/kernels/wasm as well as from dist/worker/kernels/wasm. */
const file = new URL('../../../../dist/wasm/kernels.wasm', import.meta.url);

/** An export of native/wasm/kernels/index.ts; its arguments are in the order that is written there. Addresses and sizes are integers. */
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
  | 'packTurnedFilter'
  | 'philoxUniform'
  | 'pooledGradientSums'
  | 'pooledInputGradient'
  | 'relu'
  | 'reluGradient'
  | 'softmaxCrossEntropy';

/** tfjs-backend-wasm's backend, as far as it is used here; the version is pinned. */
export interface WasmBackend {
  readonly wasm: {
    readonly asm: { readonly memory: WebAssembly.Memory };
    _malloc(bytes: number): number;
    _free(address: number): void;
  };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number } | undefined };
  makeOutput(shape: readonly number[], dtype: DataType): TensorInfo;
}

interface TensorMaker {
  makeTensorFromTensorInfo(info: TensorInfo): Tensor;
}

/** The memory that a name stands for: as large as the largest use so far, its contents lost from use to use. */
export type ScratchName = 'frame' | 'panels' | 'table' | 'vectors' | 'gradient';

const modules = new WeakMap<object, WasmModule>();

export class WasmModule {
  readonly #tf: Tensorflow;
  readonly #backend: WasmBackend;
  readonly #scratch = new Map<ScratchName, { address: number; bytes: number }>();
  readonly run: Functions;
  /** Twelve hex digits of the module's SHA-256: two modules with the same ones compute the same bits. */
  readonly hash: string;

  /** The one over the current backend, which is tfjs's WebAssembly. @throws EngineError when the module isn't built */
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

  /** Where a tensor's elements are, until it is disposed. */
  address({ dataId }: Pick<TensorInfo, 'dataId'>): number {
    const data = this.#backend.dataIdMap.get(dataId);
    invariant(data, 'the tensor is not one of the WebAssembly backend');
    return data.memoryOffset;
  }

  /** A tensor's data with undefined elements, for a kernel of tfjs's registry. @throws EngineError when memory is out */
  info(shape: readonly number[], dtype: 'float32' | 'int32' = 'float32'): TensorInfo {
    const info = this.#backend.makeOutput([...shape], dtype);
    if (this.address(info) === 0 && elementCount(shape) > 0) throw outOfMemory(elementCount(shape) * 4);
    return info;
  }

  /** A tensor with undefined elements, and where they are. */
  output<T extends Tensor>(shape: readonly number[]): { tensor: T; to: number } {
    const info = this.info(shape);
    return { tensor: this.tensor<T>(info), to: this.address(info) };
  }

  /** The tensor of `info`'s data, in the current scope. */
  tensor<T extends Tensor>(info: TensorInfo): T {
    const maker = this.#tf.engine() as unknown as TensorMaker;
    return maker.makeTensorFromTensorInfo(info) as T;
  }

  scratch(name: ScratchName, bytes: number): number {
    const held = this.#scratch.get(name);
    if (held && held.bytes >= bytes) return held.address;
    if (held) this.#backend.wasm._free(held.address);
    this.#scratch.delete(name);
    const address = this.allocate(bytes);
    this.#scratch.set(name, { address, bytes });
    return address;
  }

  /** @throws EngineError when memory is out */
  allocate(bytes: number): number {
    const address = this.#backend.wasm._malloc(bytes) >>> 0;
    if (address === 0) throw outOfMemory(bytes);
    return address;
  }

  free(address: number): void {
    this.#backend.wasm._free(address);
  }

  floats(address: number, count: number): Float32Array {
    return new Float32Array(this.#backend.wasm.asm.memory.buffer, address, count);
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
      `WebAssembly kernels: expected ${file.pathname}, got none. Build them with \`npm run build\`.`,
      { path: file.pathname },
      cause,
    );
  }
}

function outOfMemory(bytes: number): EngineError {
  return new EngineError(
    `WebAssembly memory: expected room for ${bytes} bytes, got none. Give a worker less at once: a smaller --batch-size, or more --workers.`,
    { bytes },
  );
}
