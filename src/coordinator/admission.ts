/**
 * Admission of workers and of their messages. Pure. Any process that reaches the port can send `join`, so the number of loading
 * workers is bounded. Only members and former members may report about the training.
 */

import { protocolVersion, type MessageOf, type WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import { warn } from './actions.js';
import { flapping } from './removal.js';
import type { Decision, State, WorkerRecord } from './types.js';
import { isMember, readyOf, workerLocation } from './workers.js';

/** Number of loading workers that are admitted in addition to the number of workers or shards of the run. */
export const maxExtraLoading = 64;

const memberMessages: readonly WorkerMessage['type'][] = [
  'connected',
  'drained',
  'last_committed',
  'committed',
  'misclassified',
  'confusion',
  'evaluated',
  'checkpointed',
  'offer',
  'fetch',
  'want',
  'piece',
  'withdraw',
  'model',
  'histograms',
  'ledger',
  'spans',
  'finished',
  'saved',
  'lost',
];

/** The reason to refuse a message of this worker now; undefined if it is accepted. */
export function messageRefusal(worker: WorkerRecord, { type }: WorkerMessage): string | undefined {
  // A former member may still have something to report.
  const member = isMember(worker) || worker.committedStep > 0;
  if (memberMessages.includes(type) && !member)
    return `expected "${type}" from a member of a generation only`;
  if (type === 'loading' && readyOf(worker) !== null) return 'expected "loading" before "ready" only';
  if (type === 'ready' && readyOf(worker) !== null) return 'expected "ready" once, got it again';
  return undefined;
}

export interface Refusal {
  /** The kind under which the refusal is counted. */
  readonly kind: string;
  readonly code: 'PROTOCOL' | 'PEER_LOST';
  readonly reason: string;
}

/** The reason to refuse a worker that wants to join; undefined if it is accepted. */
export function joinRefusal(
  state: State,
  from: ConnectionId,
  join: MessageOf<WorkerMessage, 'join'>,
  nowMs: number,
): Refusal | undefined {
  if (join.protocol !== protocolVersion) {
    const reason =
      `expected protocol ${protocolVersion}, got ${join.protocol}. ` +
      'Install the same version of Lockstep on every host.';
    return { kind: 'protocol', code: 'PROTOCOL', reason };
  }
  const { workers } = state;
  if (workers.has(from) || workers.hasWorkerId(join.workerId))
    return { kind: 'repeated', code: 'PROTOCOL', reason: 'it has joined already.' };
  const location = workerLocation({ join });
  const flaps = flapping(state, location, nowMs);
  if (flaps !== undefined) return { kind: `flapping ${location}`, code: 'PEER_LOST', reason: flaps };
  const loading = workers.count('loading');
  const most = Math.max(state.config.workers, state.config.shards) + maxExtraLoading;
  if (loading < most) return undefined;
  const reason = `expected fewer than ${most} workers that load, got ${loading}. Try again later.`;
  return { kind: 'pending', code: 'PROTOCOL', reason };
}

/** Largest number of kinds that are recorded. It is bounded, because each worker location with many losses is a kind of its own. */
const maxKinds = 1_024;

/** Counts a refusal and emits a warning for the first one of its kind. */
export function refuse(state: State, kind: string, message: string): Decision {
  const { refused, refusedKinds } = state.reporting;
  const first = !refusedKinds.has(kind) && refusedKinds.size < maxKinds;
  const reporting: State['reporting'] = {
    ...state.reporting,
    refused: refused + 1,
    refusedKinds: first ? new Set(refusedKinds).add(kind) : refusedKinds,
  };
  return { state: { ...state, reporting }, actions: first ? [warn(message)] : [] };
}
