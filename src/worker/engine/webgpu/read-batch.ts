/**
 * Reads the values of several tensors from the GPU at once. A copy of a tensor is queued as soon as the tensor is added, so the tensor
 * may be disposed before its values are read.
 */

import type { TypedArray } from '@tensorflow/tfjs-core';
import type { Range } from '../../../shared/sharding/identifiers.js';
import type { GpuBackend, GpuBuffer } from './gpu-types.js';
import { waitUntilMapped } from './pump.js';

/** Values of WebGPU's GPUBufferUsage and GPUMapMode. */
const mapRead = 1;
const copyDestination = 8;
const readMode = 1;

/** Tensors of at most this size share a buffer. */
const sharedBytes = 1 << 20;

interface Staging {
  readonly buffer: GpuBuffer;
  used: number;
}

interface Entry {
  readonly staging: Staging;
  readonly offset: number;
  readonly bytes: number;
  readonly isInteger: boolean;
  values: TypedArray | undefined;
}

/** Counters of all batches of this process, for tests and measurements. */
export const readCounters = { reads: 0, bytes: 0 };

export class ReadBatch {
  readonly #backend: GpuBackend;
  readonly #stagings: Staging[] = [];
  readonly #entries: Entry[] = [];

  constructor(backend: GpuBackend) {
    this.#backend = backend;
  }

  /**
   * Adds a tensor. Returns a function that returns its values; its first call reads all tensors of the batch. The values belong to
   * the caller, who must not change those of a tensor that was never used on the GPU.
   * @param range elements to read of a tensor that is on the GPU; default: all
   */
  add(dataId: object, range?: Range): () => TypedArray {
    const backend = this.#backend;
    const { values, resource, dtype } = backend.tensorMap.get(dataId);
    if (values) return () => values;
    if (!resource) return () => new Float32Array(0);
    const [from, bytes] = range ? [4 * range.start, 4 * (range.end - range.start)] : [0, resource.size];
    const staging = this.#stagingFor(bytes);
    const entry: Entry = {
      staging,
      offset: staging.used,
      bytes,
      isInteger: dtype !== 'float32',
      values: undefined,
    };
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.commandEncoder?.copyBufferToBuffer(resource, from, staging.buffer, staging.used, bytes);
    staging.used += bytes;
    this.#entries.push(entry);
    return () => {
      if (!entry.values) this.#read();
      const read = entry.values as unknown as TypedArray;
      return dtype === 'bool' ? Uint8Array.from(read) : read;
    };
  }

  /** Frees the buffers of a batch that will not be read. */
  discard(): void {
    for (const { buffer } of this.#stagings) this.#backend.bufferManager.releaseBuffer(buffer);
    this.#stagings.length = 0;
    this.#entries.length = 0;
  }

  #stagingFor(bytes: number): Staging {
    const last = this.#stagings.at(-1);
    if (last && last.used + bytes <= last.buffer.size) return last;
    // A single small read uses a buffer of its own size; many buffers of different sizes would remain in the pool otherwise.
    const size = Math.max(bytes, this.#stagings.length === 0 && bytes < 4096 ? 4096 : sharedBytes);
    const buffer = this.#backend.bufferManager.acquireBuffer(size, copyDestination | mapRead);
    const staging = { buffer, used: 0 };
    this.#stagings.push(staging);
    return staging;
  }

  /** @throws DeviceLostError if the device is lost or has reported an error: the values would be those of an earlier command */
  #read(): void {
    const backend = this.#backend;
    backend.check();
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
    // The result of mapAsync arrives as the state of the buffer, because promises need a turn of the event loop.
    for (const { buffer } of this.#stagings) buffer.mapAsync(readMode).catch(() => undefined);
    for (const { buffer } of this.#stagings) waitUntilMapped(buffer);
    const ranges = new Map(this.#stagings.map((staging) => [staging, staging.buffer.getMappedRange()]));
    for (const entry of this.#entries) {
      const bytes = ranges.get(entry.staging)?.slice(entry.offset, entry.offset + entry.bytes);
      const View = entry.isInteger ? Int32Array : Float32Array;
      entry.values = new View(bytes ?? new ArrayBuffer(0));
      readCounters.bytes += entry.bytes;
    }
    readCounters.reads++;
    for (const { buffer } of this.#stagings) buffer.unmap();
    this.discard();
    backend.check();
  }
}
