/**
 * A coordinator that takes over a run whose coordinator is gone. Pure. The workers hold the state and go on training meanwhile;
 * the successor asks whoever speaks to it what it is, takes it over as a member of the generation that it is in, and once all
 * members have come, or those that are left have waited long enough, ends that generation: the next one is its own.
 */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import { reconfigure } from './reconfigure.js';
import { enter, newWorker, warn, withWorker, type Decision, type State, type WorkerRecord } from './state.js';

type Rejoin = MessageOf<WorkerMessage, 'rejoin'>;

/** For members whose connection takes longer; those that died with the coordinator never come. */
const patienceBeats = 8;

/** Whether a worker that nobody here knows may belong to a run that this coordinator takes over. */
export function canTakeOver(state: State): boolean {
  return state.inherited !== null && (state.phase === 'gathering' || state.takeover !== null);
}

export function takeover(state: State, from: ConnectionId, rejoin: Rejoin, nowMs: number): Decision {
  const { generation, rank, join, ready, worldSize } = rejoin;
  const late = state.takeover === null && state.generation > 0;
  const first = state.takeover === null && !late;
  if (late || rejoin.runId !== state.runId) {
    // Its generation was ended without it, or it is another run's: it has to start again.
    const message = `Worker ${join.pid} on ${join.host} came back too late: generation ${generation} is over.`;
    return {
      state,
      actions: [
        { kind: 'send', to: from, message: { type: 'abort', error: { code: 'STALE_GENERATION', message } } },
        warn(message),
      ],
    };
  }
  const worker: WorkerRecord = { ...newWorker(from, join, nowMs), ready, rank, connected: true };
  const adopting = state.takeover ?? { worldSize, sinceMs: nowMs };
  const adopted: State = {
    ...withWorker(first ? enter(state, 'running', nowMs) : state, worker),
    // The predecessor may have died while it told some of the next plan, and others not yet.
    generation: Math.max(generation, state.generation),
    takeover: generation < state.generation ? adopting : { ...adopting, worldSize },
    endedMs: adopting.sinceMs,
    progress: { ...state.progress, started: true },
  };
  const came = [...adopted.workers.values()].filter((other) => other.rank !== null).length;
  return came < worldSize ? { state: adopted, actions: [] } : completeTakeover(adopted, nowMs);
}

/** At each tick: those that are there go on without the others. */
export function takeoverDue(state: State, nowMs: number): Decision | undefined {
  if (state.takeover === null) return undefined;
  const waitedMs = nowMs - state.takeover.sinceMs;
  if (waitedMs < patienceBeats * state.config.heartbeatMs) return undefined;
  return completeTakeover(state, nowMs);
}

function completeTakeover(state: State, nowMs: number): Decision {
  return reconfigure({ ...state, takeover: null }, nowMs);
}
