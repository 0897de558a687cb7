/** The hashes by which the coordinator checks that all workers train the same model. */

import { elementCount, layoutHash, weightsSha256 } from '../../shared/model/layout.js';
import type { Replica } from './replica.js';
import { readWeights } from './weights.js';

export interface ReplicaHashes {
  readonly layoutHash: string;
  readonly weightsSha256: string;
  /** Number of elements of all weights, trainable or not. */
  readonly parameterCount: number;
}

export function replicaHashes(replica: Pick<Replica, 'layout' | 'model'>): ReplicaHashes {
  return {
    layoutHash: layoutHash(replica.layout),
    weightsSha256: weightsSha256(readWeights(replica)),
    parameterCount: replica.layout.reduce((sum, { shape }) => sum + elementCount(shape), 0),
  };
}
