/**
 * Who is to blame when a run can't go on: silence, a broken connection, or no progress. A slow worker is none of these:
 * it speaks, and its main thread moves.
 */

import { membersOf, describeWorker, type Failure, type State, type WorkerRecord } from './state.js';

export interface Verdict {
  readonly failure: Failure;
  /** lose: this worker. regroup: nobody is guilty, the same workers try again. fail: the run. */
  readonly action: 'lose' | 'reconfigure' | 'fail';
  readonly worker?: WorkerRecord;
}

/** Without a tick, a frame or any computing, anywhere. */
const idleLimitMs = 3_000;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function detectFailure(state: State, nowMs: number): Verdict | undefined {
  return (
    missing(state, nowMs) ??
    silent(state, nowMs) ??
    disconnected(state, nowMs) ??
    late(state, nowMs) ??
    unwritten(state, nowMs) ??
    stuck(state, nowMs)
  );
}

/** Not everyone came and loaded in time. */
function missing(state: State, nowMs: number): Verdict | undefined {
  const { workers, joinTimeoutMs } = state.config;
  if (state.phase !== 'gathering' || nowMs - state.phaseSinceMs <= joinTimeoutMs) return undefined;
  const after = `after ${seconds(joinTimeoutMs)}`;
  const joined = [...state.workers.values()];
  const message =
    joined.length < workers
      ? `Workers missing: expected ${workers}, ${joined.length} joined ${after}. Start the others, or lower --workers.`
      : `Not ready ${after}: ${joined
          .filter(({ ready }) => ready === null)
          .map(describeWorker)
          .join(', ')}.`;
  return { failure: { code: 'DEADLINE', message }, action: 'fail' };
}

function silent(state: State, nowMs: number): Verdict | undefined {
  // Until its heartbeats begin (when it is ready) a worker is busy loading.
  for (const worker of state.workers.values()) {
    const silentMs = nowMs - worker.lastHeardMs;
    const limitMs = worker.ready === null ? state.config.joinTimeoutMs : state.config.peerTimeoutMs;
    if (silentMs <= limitMs) continue;
    const message = `Worker lost: ${describeWorker(worker)} has not answered for ${seconds(silentMs)} (step ${state.progress.step}).`;
    return { failure: { code: 'PEER_LOST', message }, action: 'lose', worker };
  }
  return undefined;
}

/** A connection broke some time ago: who has been silent since is lost; if nobody is, the link itself is. */
function disconnected(state: State, nowMs: number): Verdict | undefined {
  for (const suspicion of state.suspicions) {
    if (suspicion.untilMs > nowMs) continue;
    const quietMs = 2 * state.config.heartbeatMs;
    const [gone] = [...state.workers.values()]
      .filter((worker) => worker.ready !== null && nowMs - worker.lastHeardMs > quietMs)
      .sort((a, b) => a.lastHeardMs - b.lastHeardMs);
    if (gone) {
      const message = `Worker lost: ${describeWorker(gone)} closed its connections and is silent (step ${state.progress.step}).`;
      return { failure: { code: 'PEER_LOST', message }, action: 'lose', worker: gone };
    }
    if (suspicion.rank === null || state.phase === 'reconfiguring') continue;
    const accused = membersOf(state).find(({ rank }) => rank === suspicion.rank);
    const message =
      `Connection lost: rank ${suspicion.reporter ?? '?'} can't reach ${accused ? describeWorker(accused) : `rank ${suspicion.rank}`}, ` +
      `although both are alive (step ${state.progress.step}). Check the network between them.`;
    // New sockets first; a link that stays broken costs the run one of its ends.
    if (accused && state.generationsWithoutProgress > 0)
      return { failure: { code: 'PEER_LOST', message }, action: 'lose', worker: accused };
    return { failure: { code: 'PEER_LOST', message }, action: 'reconfigure' };
  }
  return undefined;
}

/** A last checkpoint that doesn't come. */
function unwritten(state: State, nowMs: number): Verdict | undefined {
  const { stepTimeoutMs } = state.config;
  if (state.phase !== 'stopping' || nowMs - state.phaseSinceMs <= stepTimeoutMs) return undefined;
  const message = `Interrupted, but no checkpoint was written within ${seconds(stepTimeoutMs)}.`;
  return { failure: { code: 'DEADLINE', message }, action: 'fail' };
}

/** A member that doesn't meet the others, or doesn't stop, within a step's time. */
function late(state: State, nowMs: number): Verdict | undefined {
  if (state.phase !== 'connecting' && state.phase !== 'reconfiguring') return undefined;
  const { stepTimeoutMs } = state.config;
  if (nowMs - state.phaseSinceMs <= stepTimeoutMs) return undefined;
  const lacking = membersOf(state).filter(({ connected, lastCommitted }) =>
    state.phase === 'connecting' ? !connected : lastCommitted === null,
  );
  // Where two can't reach each other both lack: the later one goes.
  const worker = lacking.at(-1);
  if (!worker) return undefined;
  const what = state.phase === 'connecting' ? 'did not meet all others' : 'did not stop';
  const message = `Worker lost: ${describeWorker(worker)} ${what} within ${seconds(stepTimeoutMs)}.`;
  return { failure: { code: 'DEADLINE', message }, action: 'lose', worker };
}

/** Alive, but its main thread hasn't moved for longer than a step may take. */
function stuck(state: State, nowMs: number): Verdict | undefined {
  if (state.phase !== 'running') return undefined;
  const { stepTimeoutMs } = state.config;
  const workers = membersOf(state).filter(({ finished }) => finished === null);
  const still = workers.filter((worker) => nowMs - worker.tickedMs > stepTimeoutMs);
  const culprit = still.find(({ waitingFor }) => waitingFor === '');
  if (culprit) {
    const message =
      `Step past its deadline: ${describeWorker(culprit)} made no progress for ${seconds(nowMs - culprit.tickedMs)} ` +
      `(after step ${culprit.committedStep}). Raise stepTimeoutMs if its steps are really that slow.`;
    return { failure: { code: 'DEADLINE', message }, action: 'lose', worker: culprit };
  }
  // Nobody computes and nothing has arrived: a message is lost. Longer each time, in case that it is only slow.
  const idleMs = Math.min(stepTimeoutMs, idleLimitMs * 2 ** state.generationsWithoutProgress);
  const idle = workers.every(
    (worker) =>
      worker.waitingFor !== '' && nowMs - worker.tickedMs > idleMs && nowMs - worker.lastHeardMs < idleMs,
  );
  if (workers.length === 0 || !idle) return undefined;
  const list = workers.map((worker) => `${describeWorker(worker)} waits for ${worker.waitingFor}`).join('; ');
  const message = `Step past its deadline: nobody makes progress. ${list}.`;
  return { failure: { code: 'DEADLINE', message }, action: 'reconfigure' };
}
