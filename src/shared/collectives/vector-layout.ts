/**
 * Where a worker's vectors lie in its memory. The same allocations in the same order on every worker, so each can
 * compute the place of every other's, and no offset or length is ever read from the wire.
 */

import { smallBytes } from './shared-memory-collective.js';
import { pageBytes } from '../memory/shared-memory.js';
import type { Range } from '../sharding/identifiers.js';

/** The local shards' vectors and the result, float32, all of one length. */
export interface Vectors {
  readonly inputs: readonly Float32Array[];
  readonly output: Float32Array;
}

export interface Placement {
  readonly offset: number;
  readonly bytes: number;
}

const alignment = 64;

export class VectorLayout {
  readonly #ranges: readonly Range[];
  readonly #next: number[];

  constructor(ranges: readonly Range[]) {
    this.#ranges = ranges;
    // After the page with the token and the room of small vectors.
    this.#next = ranges.map(() => pageBytes + smallBytes);
  }

  /** The next allocation's place in each worker's memory, by rank. */
  add(elementCount: number): Placement[] {
    return this.#ranges.map((range, rank) => {
      const offset = this.#next[rank] ?? pageBytes;
      const bytes = pad(bytesOf(range, elementCount), pageBytes);
      this.#next[rank] = offset + bytes;
      return { offset, bytes };
    });
  }
}

/** Bytes of one worker's vectors. */
export function bytesOf({ start, end }: Range, elementCount: number): number {
  return (end - start + 1) * pad(4 * elementCount, alignment);
}

/** The vectors of the worker that owns `range`, in its memory. */
export function vectorsIn(memory: ArrayBufferLike, { start, end }: Range, elementCount: number): Vectors {
  const stride = pad(4 * elementCount, alignment);
  const at = (index: number): Float32Array => new Float32Array(memory, index * stride, elementCount);
  return { inputs: Array.from({ length: end - start }, (_, i) => at(i)), output: at(end - start) };
}

/** Elements [start, start + elementCount) of each vector. */
export function part({ inputs, output }: Vectors, start: number, elementCount: number): Vectors {
  const cut = (vector: Float32Array): Float32Array => vector.subarray(start, start + elementCount);
  return { inputs: inputs.map(cut), output: cut(output) };
}

const pad = (bytes: number, unit: number): number => Math.ceil(bytes / unit) * unit;
