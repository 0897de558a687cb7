/** What a collective is made of: its name and arithmetic, the memory that it reads and writes, and whom it shares memory with. */

import type { Frame } from '../protocol/frame.js';
import type { Rank } from '../sharding/identifiers.js';
import type { Vector, VectorReduction } from './reduction.js';
import type { Vectors } from './vector-layout.js';

export interface CollectiveSpec {
  /** 1, 2, 3 ... in the order of registration; the same on every worker. */
  readonly id: number;
  /** For people: `gradients/3`, `batch_normalization_1/forward`. */
  readonly name: string;
  readonly reduction: VectorReduction;
  readonly elementCount: number;
}

export interface CollectiveBuffers {
  /** One vector a local shard; overwritten by the collective. */
  readonly inputs: readonly Vector[];
  /** Receives the result. */
  readonly output: Vector;
}

/** What this worker shares memory with. Frames between the two announce vectors instead of carrying them. */
export interface SharedPeers {
  /** Vectors of this collective in the memory of those whose memory this worker can read. */
  readonly readable: ReadonlyMap<Rank, Vectors>;
  /** Those who can read this worker's. */
  readonly readers: ReadonlySet<Rank>;
}

export type SendFrame = (to: Rank, frame: Frame) => void;
