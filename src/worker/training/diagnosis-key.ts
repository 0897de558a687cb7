/**
 * The cause of a non-finite loss or gradient as a number. The smallest number over all workers is the first cause, and every worker
 * can describe a cause from its number alone.
 */

/** In the order of the computation. `sum` is the gradient after the all-reduce. */
const causes = ['input', 'target', 'weight', 'output', 'loss', 'lossGradient', 'gradient', 'sum'] as const;
export type Cause = (typeof causes)[number];

export interface Finding {
  readonly cause: Cause;
  /** Sample: position in the global batch. Layer: index in forward order. Weight gradient: index in backward order. Else 0. */
  readonly index: number;
  /** Micro-batch (`accumulate`), counted from 0. */
  readonly microBatch: number;
  /** Global index of the shard. */
  readonly shard: number;
}

/** Notes a possible cause; the first one counts. Arguments as in `Finding`. */
export type Note = (cause: Cause, index: number, microBatch: number, shard: number) => void;

const shards = 2 ** 12;
const microBatches = 2 ** 16;
const indices = 2 ** 20;

/** Greater than every key, and less than 2^53. */
export const noFinding = causes.length * indices * microBatches * shards;

export function keyOf({ cause, index, microBatch, shard }: Finding): number {
  const order = causes.indexOf(cause) * indices + Math.min(index, indices - 1);
  return (order * microBatches + microBatch) * shards + shard;
}

export function findingOf(key: number): Finding {
  const order = Math.floor(key / (shards * microBatches));
  return {
    cause: causes[Math.floor(order / indices)] ?? 'sum',
    index: order % indices,
    microBatch: Math.floor(key / shards) % microBatches,
    shard: key % shards,
  };
}
