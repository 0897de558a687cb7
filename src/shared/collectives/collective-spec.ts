/** Types of a collective: its name and arithmetic, the memory that it reads and writes, and the peers it shares memory with. */

import type { Frame } from '../protocol/frame.js';
import type { Rank } from '../sharding/identifiers.js';
import type { GenerationIdentity } from './generation-identity.js';
import type { Mesh } from './mesh.js';
import type { Vector, VectorReduction } from './reduction.js';
import type { Vectors } from './vector-layout.js';

export interface CollectiveSpec {
  /** 1, 2, 3 ... in the order of registration; the same on every worker. */
  readonly id: number;
  /** Name in messages and in the timeline, for example `gradients/3` or `batch_normalization_1/forward`. */
  readonly name: string;
  readonly reduction: VectorReduction;
  readonly elementCount: number;
}

export interface CollectiveBuffers {
  /** One vector per local shard; overwritten by the collective. */
  readonly inputs: readonly Vector[];
  /** Receives the result. */
  readonly output: Vector;
}

/**
 * The peers of a collective that share memory with this worker. Frames between two such workers are sent by reference: they have no
 * payload, and the receiver reads the vectors in the sender's memory.
 */
export interface SharedPeers {
  /** The collective's vectors in the memory of the workers whose memory this worker can read. */
  readonly readable: ReadonlyMap<Rank, Vectors>;
  /** The workers that can read this worker's memory. */
  readonly readers: ReadonlySet<Rank>;
}

/** Sends a frame without copying it. The frame must not change until it is certain that the receiver has it. */
export type SendFrame = (to: Rank, frame: Frame) => void;

/** Context that all collectives of a generation share. */
export interface CollectiveContext {
  readonly identity: GenerationIdentity;
  readonly mesh: Mesh;
  readonly send: SendFrame;
}
