/** Finds the rank of this worker in a plan, which all members receive alike. */

import { invariant } from '../../shared/errors.js';
import type { CommonPlan, Plan } from '../../shared/protocol/messages.js';

/** @param workerId the id with which this worker has joined */
export function ownPlan({ memberIds, ...plan }: CommonPlan, workerId: string): Plan {
  const rank = memberIds.indexOf(workerId);
  invariant(rank >= 0, `worker ${workerId} is not in the plan of generation ${plan.generation}`);
  return { ...plan, rank };
}
