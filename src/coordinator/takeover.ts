/**
 * The takeover of a run whose coordinator is gone. Pure. The workers hold the training state and continue to train. The new coordinator
 * sends `identify` to each connection that it does not recognize, unless its message is `join`, `failed` or `leave`. A worker that has
 * been a member answers with `rejoin`. The new coordinator waits until all members have rejoined, but for at most `patienceBeats`
 * heartbeats after the first `rejoin`. It also stops waiting when the generation has to end for another reason, for example the loss of a
 * worker that has rejoined (reconfigure.ts). After the wait, the coordinator ends the generation of the workers that have rejoined and
 * plans the next one.
 */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import { abortMessage, andThen, noActions, warn } from './actions.js';
import { takeoverMismatch, withSharedFingerprint } from './agreement.js';
import { reconfigure } from './reconfigure.js';
import { enter } from './transitions.js';
import type { Decision, State } from './types.js';
import { describeWorker, membersOf, newWorker, withWorker } from './workers.js';

type Rejoin = MessageOf<WorkerMessage, 'rejoin'>;

/** Number of heartbeats to wait for further members. A member that died together with the coordinator never rejoins. */
const patienceBeats = 8;

/** Returns true if an unknown peer may be a member of a generation that this coordinator takes over. */
export function canTakeOver({ inherited, phase, takeover }: State): boolean {
  return inherited !== null && (phase === 'gathering' || takeover.pending !== null);
}

/** Adds a worker of the previous coordinator. Called only if `canTakeOver(state)`. */
export function takeOver(state: State, from: ConnectionId, rejoin: Rejoin, nowMs: number): Decision {
  const { generation, rank, join, worldSize } = rejoin;
  if (rejoin.runId !== state.runId) return refuseOtherRun(state, from, rejoin);
  const ready = withSharedFingerprint(state.trained ?? state, rejoin.ready);
  const { pending } = state.takeover;
  const worker = newWorker(from, join, { state: 'running', ready, rank, shards: null }, nowMs);
  const sinceMs = pending?.sinceMs ?? nowMs;
  // Workers can report different generations: the previous coordinator may have sent its last plan to some of the members only. The newest
  // reported generation determines how many workers must rejoin. A worker that reports an older generation counts as one of them.
  const newest = pending === null || generation >= state.generation;
  const expected = newest ? worldSize : pending.worldSize;
  const next: State = {
    ...withWorker(pending === null ? enter(state, 'running', nowMs) : state, worker),
    trained: ready,
    generation: Math.max(generation, state.generation),
    takeover: { ...state.takeover, pending: { worldSize: expected, sinceMs } },
    reconfiguration: { ...state.reconfiguration, sinceMs },
    progress: { ...state.progress, started: true },
  };
  const other = pending === null ? takeoverMismatch(state, ready, describeWorker(worker)) : undefined;
  return andThen({ state: next, actions: other === undefined ? [] : [warn(other)] }, (present) =>
    membersOf(present).length < expected ? noActions(present) : reconfigure(present, nowMs),
  );
}

function refuseOtherRun(state: State, from: ConnectionId, rejoin: Rejoin): Decision {
  const message = otherRunMessage(state.runId, rejoin);
  return {
    state,
    actions: [
      { kind: 'send', to: from, message: abortMessage({ code: 'STALE_GENERATION', message }) },
      warn(message),
    ],
  };
}

/** Describes the refusal of a worker that has the state of another run. @param expected id of this run */
export function otherRunMessage(expected: string, { runId, join }: Rejoin): string {
  return (
    `Worker ${join.pid} on ${join.host} refused: expected a member of run ${expected}, got one of run ${runId}. ` +
    'Start the worker again to join this run.'
  );
}

/** Called at each timer event. Ends the wait for further members when `patienceBeats` heartbeats have passed. */
export function takeoverDue(state: State, nowMs: number): Decision | undefined {
  const { pending } = state.takeover;
  if (pending === null || nowMs - pending.sinceMs < patienceBeats * state.config.heartbeatMs)
    return undefined;
  return reconfigure(state, nowMs);
}
