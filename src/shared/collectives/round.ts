/** The state of one round of a collective: the contributions that have arrived so far. */

import type { Rank } from '../sharding/identifiers.js';
import type { Vector } from './reduction.js';
import type { PeerSchedule } from './route.js';

/** A round is one execution of a registered collective; rounds are numbered 1, 2, 3 ... */
export interface Round {
  readonly sequence: number;
  /** Reduce-scatter: the partials of each group member over this worker's reduce range, by rank. */
  readonly partials: Map<number, readonly Vector[]>;
  /**
   * Inter-group reduce: the partials of other groups, by the rank of the sender. An entry has, for each common range, one vector per node
   * of the sender's group.
   */
  readonly groupPartials: Map<number, readonly Vector[]>;
  /** Inter-group broadcast: ranks whose part of the result has arrived. */
  readonly broadcastFrom: Set<number>;
  /** All-gather: ranks whose part of the result has arrived. */
  readonly gatheredFrom: Set<number>;
  /** The partials of this worker's group over the reduce range. They are set at the end of the reduce-scatter. */
  groupSums: readonly Vector[];
}

export const newRound = (sequence: number): Round => ({
  sequence,
  partials: new Map(),
  groupPartials: new Map(),
  broadcastFrom: new Set(),
  gatheredFrom: new Set(),
  groupSums: [],
});

/** The phase whose contributions the round in flight is waiting for. */
export type Stage = 'reduce-scatter' | 'inter-group-reduce' | 'inter-group-broadcast' | 'all-gather';

/** True if the round still waits for a frame from `rank`. */
export function isMissing(rank: Rank, round: Round, schedule: PeerSchedule): boolean {
  return (
    (schedule.reduceScatterFrom.has(rank) && !round.partials.has(rank)) ||
    (schedule.interGroupReduceFrom.has(rank) && !round.groupPartials.has(rank)) ||
    (schedule.interGroupBroadcastFrom.has(rank) && !round.broadcastFrom.has(rank)) ||
    (schedule.allGatherFrom.has(rank) && !round.gatheredFrom.has(rank))
  );
}
