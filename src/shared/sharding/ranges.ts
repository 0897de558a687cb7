/**
 * Who computes what: a batch is cut into shards, and shards are dealt to workers. Owns the partition arithmetic, and
 * knows nothing of networks or tensors. Sizes differ by at most one; a part may be empty.
 */

import { invariant } from '../errors.js';
import type { Range } from './identifiers.js';

/** Part `index` of [0, total) cut into `parts` contiguous parts. */
export function partition(total: number, parts: number, index: number): Range {
  invariant(index >= 0 && index < parts, `part ${index} of ${parts}`);
  return { start: Math.floor((index * total) / parts), end: Math.floor(((index + 1) * total) / parts) };
}

/** The shards that each rank owns when all get as many, one more or less: contiguous, disjoint, covering 0..shards-1. */
export function shardRanges(shards: number, worldSize: number): Range[] {
  return Array.from({ length: worldSize }, (_, rank) => partition(shards, worldSize, rank));
}

/** The shards that each rank owns when rank r gets `counts[r]` of them. */
export function consecutiveRanges(counts: readonly number[]): Range[] {
  let end = 0;
  return counts.map((count) => ({ start: end, end: (end += count) }));
}

/**
 * Chunk `index` of a vector of `elementCount` elements cut for `owners`, each boundary a multiple of 16 elements
 * (one cache line of float32), so that chunks don't share lines.
 */
export function chunkRange(elementCount: number, owners: number, index: number): Range {
  const lines = Math.ceil(elementCount / 16);
  const { start, end } = partition(lines, owners, index);
  return { start: Math.min(start * 16, elementCount), end: Math.min(end * 16, elementCount) };
}
