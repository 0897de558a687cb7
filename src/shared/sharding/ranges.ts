/** Arithmetic of partitions: of samples into shards, of shards to workers, and of vectors into chunks. */

import { invariant } from '../errors.js';
import type { Range } from './identifiers.js';

/** Part `index` of [0, total) divided into contiguous parts. Their sizes differ by at most one; a part can be empty. */
export function partition(total: number, parts: number, index: number): Range {
  invariant(index >= 0 && index < parts, `part ${index} of ${parts}`);
  return { start: Math.floor((index * total) / parts), end: Math.floor(((index + 1) * total) / parts) };
}

/** The shards of each rank in an even assignment: contiguous, disjoint, and covering all shards. */
export function shardRanges(shards: number, worldSize: number): Range[] {
  return Array.from({ length: worldSize }, (_, rank) => partition(shards, worldSize, rank));
}

/** The shards of each rank if rank r owns `counts[r]` of them. */
export function consecutiveRanges(counts: readonly number[]): Range[] {
  let end = 0;
  return counts.map((count) => ({ start: end, end: (end += count) }));
}

/**
 * Chunk `index` of a vector of `elementCount` elements divided among `owners`. Each boundary is a multiple of 16 elements (one
 * cache line of float32), so that no two chunks share a cache line.
 */
export function chunkRange(elementCount: number, owners: number, index: number): Range {
  const lines = Math.ceil(elementCount / 16);
  const { start, end } = partition(lines, owners, index);
  return { start: Math.min(start * 16, elementCount), end: Math.min(end * 16, elementCount) };
}
