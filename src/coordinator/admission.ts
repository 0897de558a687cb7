/**
 * Who may join, and who may say what. Pure. Owns the bounds on what strangers can make a coordinator keep: whoever reaches the
 * port can say `join`, and only a member's word counts for anything about the training.
 */

import { protocolVersion, type MessageOf, type WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import { flapping, workerLocation } from './reconfigure.js';
import { warn, type Decision, type State, type WorkerRecord } from './state.js';

/** Beyond the workers that the run asks for: those that have joined and are not ready yet. */
export const mostPendingBeyond = 64;

const memberMessages: readonly WorkerMessage['type'][] = [
  ...([
    'connected',
    'drained',
    'last_committed',
    'committed',
    'misclassified',
    'evaluated',
    'checkpointed',
  ] as const),
  ...(['model', 'histograms'] as const),
  ...(['ledger', 'spans', 'finished', 'saved', 'lost'] as const),
];

/** Why this worker can't say that now; undefined: it can. */
export function messageRefusal(worker: WorkerRecord, { type }: WorkerMessage): string | undefined {
  // One that was a member may still have something to report.
  const member = worker.rank !== null || worker.committedStep > 0;
  if (memberMessages.includes(type) && !member) return `"${type}" is for members of a generation`;
  if (type === 'ready' && worker.ready !== null) return 'it has said "ready" already';
  return undefined;
}

export interface Refusal {
  /** For counting: one a reason. */
  readonly kind: string;
  readonly code: 'PROTOCOL' | 'PEER_LOST';
  readonly reason: string;
}

/** Why this worker can't join; undefined: it can. */
export function joinRefusal(
  state: State,
  from: ConnectionId,
  join: MessageOf<WorkerMessage, 'join'>,
  nowMs: number,
): Refusal | undefined {
  if (join.protocol !== protocolVersion) {
    const reason = `it speaks protocol ${join.protocol}, this run ${protocolVersion}.`;
    return { kind: 'protocol', code: 'PROTOCOL', reason };
  }
  const present = [...state.workers.values()];
  if (state.workers.has(from) || present.some(({ join: other }) => other.workerId === join.workerId))
    return { kind: 'repeated', code: 'PROTOCOL', reason: 'it has joined already.' };
  const place = workerLocation({ join });
  const flaps = flapping(state, place, nowMs);
  if (flaps !== undefined) return { kind: `flapping ${place}`, code: 'PEER_LOST', reason: flaps };
  const pending = present.filter(({ ready }) => ready === null).length;
  const most = Math.max(state.config.workers, state.config.shards) + mostPendingBeyond;
  if (pending < most) return undefined;
  const reason = `${pending} others have joined and are not ready yet, at most ${most} may be. Try again later.`;
  return { kind: 'pending', code: 'PROTOCOL', reason };
}

/** Most kinds that are told apart: places that flap are many in a big cluster. */
const mostKinds = 1_024;

/** Counts a refusal; says it when it is the first of its kind. */
export function refuse(state: State, kind: string, message: string): Decision {
  const first = !state.refusedKinds.has(kind) && state.refusedKinds.size < mostKinds;
  const refusedKinds = first ? new Set(state.refusedKinds).add(kind) : state.refusedKinds;
  return {
    state: { ...state, refused: state.refused + 1, refusedKinds },
    actions: first ? [warn(message)] : [],
  };
}
