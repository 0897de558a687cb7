/**
 * An optimizer's update over one flat vector of all trainable parameters, and the vectors that it keeps between steps (momenta,
 * moments). A rule keeps these vectors in the memory that its arithmetic uses; `read` returns copies.
 */

import type { Tensor1D } from '@tensorflow/tfjs-core';
import type { PinnedVector } from '../../shared/memory/pinned-vector.js';
import type { NamedVectors, ParameterVector, PinnedVectors } from '../../shared/model/named-vectors.js';

export interface UpdateRule {
  /**
   * Applies update `step` (counted from 1) and returns the new values of each parameter, one flat tensor per parameter, which
   * the caller disposes. `gradient` has one element per trainable parameter and must be the same memory at every step.
   * @param hashes receives the ledger's hash of each parameter, 8 bytes each; must be the same memory at every step
   */
  apply(gradient: PinnedVector, step: number, learningRate: number, hashes?: Uint8Array): Tensor1D[];
  /** Copies the vectors named by `optimizerVectors`, or `only` one of them, into the vectors of `into` if it is given. */
  read(into?: PinnedVectors, only?: ParameterVector): NamedVectors;
  /** Replaces the vectors named by `optimizerVectors` by copies of those of `state`. */
  write(state: NamedVectors): void;
  dispose(): void;
}
