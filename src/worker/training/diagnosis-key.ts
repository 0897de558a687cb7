/**
 * The cause of a non-finite loss or gradient as a number, the key. The smallest key of all workers belongs to the first cause. The key
 * contains all fields of the finding, so every worker can describe a cause that another worker has found.
 */

/** The kinds of causes in the order of the computation. `sum` is the gradient after the all-reduce. */
const causes = ['input', 'target', 'weight', 'output', 'loss', 'lossGradient', 'gradient', 'sum'] as const;
export type Cause = (typeof causes)[number];

export interface Finding {
  readonly cause: Cause;
  /**
   * `input`, `target`: position of the sample in the global batch. `weight`: index in the layout. `output`: index of the layer in
   * forward order. `gradient`: index of the parameter in backward order. Other causes: 0.
   */
  readonly index: number;
  /** Micro-batch (`accumulate`), counted from 0. */
  readonly microBatch: number;
  /** Global index of the shard. */
  readonly shard: number;
}

/** Notes a possible cause. Of all noted causes the first one is reported. The arguments are the fields of `Finding`. */
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
