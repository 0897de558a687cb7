/** Access to the worker records of a state. Pure. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import type { Lifecycle, Member, ReadyMessage, State, WorkerRecord } from './types.js';

/** The record of a worker that has just joined, or that a new coordinator takes over. */
export function newWorker<L extends Lifecycle>(
  connection: ConnectionId,
  join: MessageOf<WorkerMessage, 'join'>,
  lifecycle: L,
  nowMs: number,
): WorkerRecord<L> {
  return {
    connection,
    join,
    lifecycle,
    lastHeardMs: nowMs,
    activity: { ticks: 0, tickedMs: nowMs, waitingFor: '' },
    committedStep: 0,
    samples: { window: null, measuredTimes: [] },
    computeTimes: null,
    recent: null,
    usage: null,
  };
}

export function withWorker(state: State, worker: WorkerRecord): State {
  return { ...state, workers: state.workers.set(worker) };
}

/** Returns true if the worker has a rank in the current generation. Between two generations, the ranks of the last generation count. */
export function isMember(worker: WorkerRecord): worker is Member {
  return 'rank' in worker.lifecycle;
}

/**
 * The members of the current generation. Between two generations, these are the members of the last generation. Cost: all workers are
 * visited.
 */
export function membersOf(state: State): Member[] {
  return [...state.workers.values()].filter(isMember);
}

/** Returns true if every member of the current generation is in this state. Visits no worker: each of n members reports it. */
export function allMembersAre({ workers }: State, state: Member['lifecycle']['state']): boolean {
  const members = workers.size - workers.count('loading') - workers.count('standby');
  return workers.count(state) === members;
}

/** The members in order of rank. */
export function rankedMembers(state: State): Member[] {
  return membersOf(state).sort((a, b) => a.lifecycle.rank - b.lifecycle.rank);
}

/** The rank of a member; null for other workers. */
export function rankOf(worker: WorkerRecord): number | null {
  return isMember(worker) ? worker.lifecycle.rank : null;
}

/** The `ready` message of a worker; null while it loads. */
export function readyOf({ lifecycle }: WorkerRecord): ReadyMessage | null {
  return lifecycle.state === 'loading' ? null : lifecycle.ready;
}

/** The last committed step of a member that has stopped; null for other workers. */
export function lastCommittedOf({ lifecycle }: WorkerRecord): number | null {
  return lifecycle.state === 'stopped' ? lifecycle.lastCommitted : null;
}

/** The last step that any stopped member has committed. */
export const lastCommittedStep = (state: State): number =>
  Math.max(0, ...membersOf(state).map((member) => lastCommittedOf(member) ?? 0));

/** Returns true if the worker shares the run's folder with the coordinator. */
export const sharesFolder = (worker: WorkerRecord): boolean => readyOf(worker)?.sharesFolder === true;

/**
 * The rank that writes the run's checkpoints and its model: the lowest one that shares the run's folder, else 0. All members have the
 * same bits, so any of them could.
 * @param members in order of rank
 */
export function writerOf(members: readonly WorkerRecord[]): number {
  return Math.max(0, members.findIndex(sharesFolder));
}

/** Returns true if the worker leaves once the last checkpoint is written. */
export function isLeaving({ lifecycle }: WorkerRecord): boolean {
  return 'leaving' in lifecycle && lifecycle.leaving;
}

/** The location of a worker. A process that replaces the worker has the same location. */
export const workerLocation = ({ join }: Pick<WorkerRecord, 'join'>): string =>
  `${join.host} ${join.workerSlot}`;

/** Returns, for example, `rank 1 (pid 4242 on box)`. */
export function describeWorker(worker: WorkerRecord): string {
  const rank = rankOf(worker);
  return `${rank === null ? 'a worker' : `rank ${rank}`} (pid ${worker.join.pid} on ${worker.join.host})`;
}
