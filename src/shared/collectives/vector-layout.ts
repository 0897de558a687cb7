/**
 * The layout of a worker's large vectors in its shared memory. Every worker makes the same allocations in the same order, so each worker
 * can compute the offsets of all others. No offset or length is read from the wire.
 */

import { pinnedSlice, pinnedVector, type PinnedVector } from '../memory/pinned-vector.js';
import { pageBytes } from '../memory/shared-memory.js';
import type { Range } from '../sharding/identifiers.js';

/** The vectors of the local shards, and the result vector. All of them are float32 and have the same length. */
export interface Vectors {
  readonly inputs: readonly PinnedVector[];
  readonly output: PinnedVector;
}

/** A region of a worker's memory. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
}

/** Bytes of each worker's region for small vectors, which lies between the page with its token and the large vectors. */
export const smallBytes = 64 * 2 ** 20;

const alignment = 64;

export class VectorLayout {
  readonly #ranges: readonly Range[];
  readonly #next: number[];

  /** @param ranges the shards of each rank */
  constructor(ranges: readonly Range[]) {
    this.#ranges = ranges;
    // After the page with the token and the region of small vectors.
    this.#next = ranges.map(() => pageBytes + smallBytes);
  }

  /** Adds an allocation; returns its region in each worker's memory, by rank. */
  add(elementCount: number): Region[] {
    return this.#ranges.map((range, rank) => {
      const offset = this.#next[rank] ?? pageBytes;
      const bytes = pad(bytesOf(range, elementCount), pageBytes);
      this.#next[rank] = offset + bytes;
      return { offset, bytes };
    });
  }
}

/** Bytes of the vectors of the worker that owns `range`. */
export function bytesOf({ start, end }: Range, elementCount: number): number {
  return (end - start + 1) * pad(4 * elementCount, alignment);
}

/** The vectors of the worker that owns `range`, in its memory. */
export function vectorsIn(memory: ArrayBufferLike, { start, end }: Range, elementCount: number): Vectors {
  const stride = pad(4 * elementCount, alignment);
  const at = (index: number): PinnedVector => pinnedVector(memory, index * stride, elementCount);
  return { inputs: Array.from({ length: end - start }, (_, i) => at(i)), output: at(end - start) };
}

/** Elements [start, start + elementCount) of each vector. */
export function sliceOf({ inputs, output }: Vectors, start: number, elementCount: number): Vectors {
  const slice = (vector: PinnedVector): PinnedVector => pinnedSlice(vector, start, start + elementCount);
  return { inputs: inputs.map(slice), output: slice(output) };
}

const pad = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;
