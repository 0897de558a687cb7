/**
 * Who is to blame when a run can't go on: silence, a broken connection, or no progress. A slow worker is none of these:
 * it speaks, and its main thread moves.
 */

import { who, type Failure, type State, type WorkerRecord } from './state.js';

export interface Blame {
  readonly failure: Failure;
  readonly worker?: WorkerRecord;
}

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function blame(state: State, nowMs: number): Blame | undefined {
  return overdue(state, nowMs) ?? silent(state, nowMs) ?? disconnected(state, nowMs) ?? stuck(state, nowMs);
}

/** Not everyone came, loaded or connected in time. */
function overdue(state: State, nowMs: number): Blame | undefined {
  const waiting = state.phase === 'gathering' || state.phase === 'preparing' || state.phase === 'connecting';
  if (!waiting || nowMs - state.phaseSinceMs <= state.config.joinTimeoutMs) return undefined;
  const after = `after ${seconds(state.config.joinTimeoutMs)}`;
  if (state.phase === 'gathering') {
    const message =
      `Workers missing: expected ${state.config.workers}, ${state.workers.size} joined ${after}. ` +
      'Start the others, or lower --workers.';
    return { failure: { code: 'DEADLINE', message } };
  }
  const lacking = [...state.workers.values()].filter(({ ready, connected }) =>
    state.phase === 'preparing' ? ready === null : !connected,
  );
  const message = `${state.phase === 'preparing' ? 'Not ready' : 'Not connected'} ${after}: ${lacking.map(who).join(', ')}.`;
  return { failure: { code: 'DEADLINE', message } };
}

function silent(state: State, nowMs: number): Blame | undefined {
  // Until its heartbeats begin (when it is ready) a worker is busy loading, and join has its own deadline.
  for (const worker of state.workers.values()) {
    const silentMs = nowMs - worker.lastHeardMs;
    if (worker.ready === null || silentMs <= state.config.peerTimeoutMs) continue;
    const message = `Worker lost: ${who(worker)} has not answered for ${seconds(silentMs)} (step ${state.progress.step}).`;
    return { failure: { code: 'PEER_LOST', message }, worker };
  }
  return undefined;
}

/** A connection broke some time ago: who has been silent since is lost; if nobody is, the link itself is. */
function disconnected(state: State, nowMs: number): Blame | undefined {
  for (const suspicion of state.suspicions) {
    if (suspicion.untilMs > nowMs) continue;
    const workers = [...state.workers.values()];
    const quietMs = 2 * state.config.heartbeatMs;
    const gone = workers.find((worker) => worker.ready !== null && nowMs - worker.lastHeardMs > quietMs);
    if (gone) {
      const message = `Worker lost: ${who(gone)} closed its connections and is silent (step ${state.progress.step}).`;
      return { failure: { code: 'PEER_LOST', message }, worker: gone };
    }
    if (suspicion.rank === null) continue;
    const accused = workers.find(({ rank }) => rank === suspicion.rank);
    const message =
      `Connection lost: rank ${suspicion.reporter ?? '?'} can't reach ${accused ? who(accused) : `rank ${suspicion.rank}`}, ` +
      `although both are alive (step ${state.progress.step}). Check the network between them.`;
    return { failure: { code: 'PEER_LOST', message }, ...(accused ? { worker: accused } : {}) };
  }
  return undefined;
}

/** Alive, but its main thread hasn't moved for longer than a step may take. */
function stuck(state: State, nowMs: number): Blame | undefined {
  if (state.phase !== 'running') return undefined;
  const { stepTimeoutMs } = state.config;
  const workers = [...state.workers.values()].filter(({ finished }) => finished === null);
  const still = workers.filter((worker) => nowMs - worker.tickedMs > stepTimeoutMs);
  const culprit = still.find(({ waitingFor }) => waitingFor === '');
  if (culprit) {
    const message =
      `Step past its deadline: ${who(culprit)} made no progress for ${seconds(nowMs - culprit.tickedMs)} ` +
      `(after step ${culprit.committedStep}). Raise stepTimeoutMs if its steps are really that slow.`;
    return { failure: { code: 'DEADLINE', message }, worker: culprit };
  }
  if (workers.length === 0 || still.length < workers.length) return undefined;
  const list = still.map((worker) => `${who(worker)} waits for ${worker.waitingFor}`).join('; ');
  return {
    failure: { code: 'DEADLINE', message: `Step past its deadline: nobody makes progress. ${list}.` },
  };
}
