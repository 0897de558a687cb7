/**
 * Detection of failures: silence, a broken connection, or no progress. Pure. A slow worker is not a failure: it sends heartbeats, and
 * its ticks increase.
 */

import { describeLoading, loadingRemedies } from './loading.js';
import type { Failure, State, WorkerRecord } from './types.js';
import {
  describeWorker,
  lastCommittedOf,
  membersOf,
  rankedMembers,
  rankOf,
  readyOf,
  writerOf,
} from './workers.js';

export interface Verdict {
  readonly failure: Failure;
  /** `lose`: remove this worker. `reconfigure`: the same workers try again. `fail`: end the run. */
  readonly action: 'lose' | 'reconfigure' | 'fail';
  readonly worker?: WorkerRecord;
}

/** If all members wait and none receives a frame for this long, a message is considered lost. */
const idleLimitMs = 3_000;

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export function detectFailure(state: State, nowMs: number): Verdict | undefined {
  return (
    joinTimeout(state, nowMs) ??
    silentWorker(state, nowMs) ??
    brokenConnection(state, nowMs) ??
    reconfigurationTimeout(state, nowMs) ??
    lastCheckpointTimeout(state, nowMs) ??
    modelTimeout(state, nowMs) ??
    stalledStep(state, nowMs)
  );
}

/** Finds out whether fewer workers than the config asks for were ready in time. */
function joinTimeout(state: State, nowMs: number): Verdict | undefined {
  const { workers, joinTimeoutMs } = state.config;
  if (state.phase !== 'gathering' || nowMs - state.phaseSinceMs <= joinTimeoutMs) return undefined;
  const joined = [...state.workers.values()];
  const loading = joined.filter((worker) => readyOf(worker) === null);
  const found = (those: readonly WorkerRecord[]): string =>
    those.map((worker) => describeLoading(worker, nowMs)).join('; ');
  const raise = 'If they need this time, raise joinTimeoutMs (--join-timeout-ms).';
  const message =
    joined.length < workers
      ? `Workers missing after ${seconds(joinTimeoutMs)}: expected ${workers}, got ${joined.length}` +
        `${joined.length === 0 ? '' : ` (${found(joined)})`}; the others have not connected. ` +
        `Start the others, or lower --workers. ${raise}`
      : `Workers not ready after ${seconds(joinTimeoutMs)}: ${found(loading)}. ${loadingRemedies(loading)} ${raise}`;
  return { failure: { code: 'DEADLINE', message }, action: 'fail' };
}

function silentWorker(state: State, nowMs: number): Verdict | undefined {
  for (const worker of state.workers.values()) {
    const silentMs = nowMs - worker.lastHeardMs;
    // A worker sends no heartbeats while it loads.
    const limitMs = readyOf(worker) === null ? state.config.joinTimeoutMs : state.config.peerTimeoutMs;
    if (silentMs <= limitMs) continue;
    const message =
      `Worker lost: ${describeWorker(worker)} has not answered for ${seconds(silentMs)} ` +
      `(step ${state.progress.step}).`;
    return { failure: { code: 'PEER_LOST', message }, action: 'lose', worker };
  }
  return undefined;
}

/**
 * Decides about connections that broke three heartbeat intervals ago. A ready worker that has been silent for two intervals is lost. If all
 * workers are alive, the link is broken.
 */
function brokenConnection(state: State, nowMs: number): Verdict | undefined {
  for (const suspicion of state.liveness.suspicions) {
    if (suspicion.untilMs > nowMs) continue;
    const quietMs = 2 * state.config.heartbeatMs;
    const [lost] = [...state.workers.values()]
      .filter((worker) => readyOf(worker) !== null && nowMs - worker.lastHeardMs > quietMs)
      .sort((a, b) => a.lastHeardMs - b.lastHeardMs);
    if (lost) {
      const message =
        `Worker lost: ${describeWorker(lost)} closed its connections and is silent ` +
        `(step ${state.progress.step}).`;
      return { failure: { code: 'PEER_LOST', message }, action: 'lose', worker: lost };
    }
    if (suspicion.rank === null || state.phase === 'reconfiguring') continue;
    const accused = membersOf(state).find((member) => rankOf(member) === suspicion.rank);
    const message =
      `Connection lost: rank ${suspicion.reporter ?? '?'} can't reach ${accused ? describeWorker(accused) : `rank ${suspicion.rank}`}, ` +
      `although both are alive (step ${state.progress.step}). Check the network between them.`;
    const failure = { code: 'PEER_LOST', message } as const;
    // At first, the members open new connections. If an attempt at the same step has failed before, the coordinator removes the member that
    // the reporting member cannot reach.
    return accused && state.reconfiguration.failedAttempts > 0
      ? { failure, action: 'lose', worker: accused }
      : { failure, action: 'reconfigure' };
  }
  return undefined;
}

/** Finds out whether the last checkpoint makes no progress. Its size and the speed of the disk do not matter. */
function lastCheckpointTimeout(state: State, nowMs: number): Verdict | undefined {
  if (state.phase !== 'stopping') return undefined;
  const { stepTimeoutMs } = state.config;
  const tickedMs = membersOf(state).map(({ activity }) => activity.tickedMs);
  if (nowMs - Math.max(state.phaseSinceMs, ...tickedMs) <= stepTimeoutMs) return undefined;
  const message = `Stopped, but the last checkpoint made no progress for ${seconds(stepTimeoutMs)}.`;
  return { failure: { code: 'DEADLINE', message }, action: 'fail' };
}

/**
 * Finds out whether the writer makes no progress while it saves the model. Another member then saves it. The size of the model and the speed
 * of the disk do not matter.
 */
function modelTimeout(state: State, nowMs: number): Verdict | undefined {
  if (state.phase !== 'saving') return undefined;
  const { stepTimeoutMs } = state.config;
  const members = rankedMembers(state);
  const worker = members[writerOf(members)];
  if (!worker || nowMs - Math.max(state.phaseSinceMs, worker.activity.tickedMs) <= stepTimeoutMs)
    return undefined;
  const message = `Worker lost: ${describeWorker(worker)} made no progress with the model for ${seconds(stepTimeoutMs)}.`;
  return { failure: { code: 'DEADLINE', message }, action: 'lose', worker };
}

/**
 * Finds a member that has not connected to the others, or has not stopped, and makes no progress for `stepTimeoutMs`. A large training
 * state takes long to build, and each part of it counts as progress.
 */
function reconfigurationTimeout(state: State, nowMs: number): Verdict | undefined {
  if (state.phase !== 'connecting' && state.phase !== 'reconfiguring') return undefined;
  const { stepTimeoutMs } = state.config;
  if (nowMs - state.phaseSinceMs <= stepTimeoutMs) return undefined;
  const connecting = state.phase === 'connecting';
  const overdue = membersOf(state).filter(
    (member) =>
      (connecting ? member.lifecycle.state === 'connecting' : lastCommittedOf(member) === null) &&
      nowMs - member.activity.tickedMs > stepTimeoutMs,
  );
  // If two members can't reach each other, both are overdue, and the one that joined last is removed.
  const worker = overdue.at(-1);
  if (!worker) return undefined;
  const missed = connecting ? 'did not connect to all others' : 'did not stop';
  const message = `Worker lost: ${describeWorker(worker)} ${missed} within ${seconds(stepTimeoutMs)}.`;
  return { failure: { code: 'DEADLINE', message }, action: 'lose', worker };
}

/**
 * Finds a member that makes no progress although it waits for no other member. Also finds a step in which all members wait. The progress of
 * a worker includes the frames that it receives. Each received frame therefore restarts its time limit.
 */
function stalledStep(state: State, nowMs: number): Verdict | undefined {
  if (state.phase !== 'running') return undefined;
  const { stepTimeoutMs } = state.config;
  const workers = membersOf(state).filter(({ lifecycle }) => lifecycle.state !== 'finished');
  const hung = workers.find(
    ({ activity }) => activity.waitingFor === '' && nowMs - activity.tickedMs > stepTimeoutMs,
  );
  if (hung) {
    const message =
      `Step past its deadline: ${describeWorker(hung)} made no progress for ${seconds(nowMs - hung.activity.tickedMs)} ` +
      `(after step ${hung.committedStep}). Raise stepTimeoutMs if its steps are really that slow.`;
    return { failure: { code: 'DEADLINE', message }, action: 'lose', worker: hung };
  }
  // The limit doubles with each attempt, because the message may be late instead of lost.
  const idleMs = Math.min(stepTimeoutMs, idleLimitMs * 2 ** state.reconfiguration.failedAttempts);
  const idle = workers.every(
    ({ activity, lastHeardMs }) =>
      activity.waitingFor !== '' && nowMs - activity.tickedMs > idleMs && nowMs - lastHeardMs < idleMs,
  );
  if (workers.length === 0 || !idle) return undefined;
  const waits = workers.map((worker) => `${describeWorker(worker)} waits for ${worker.activity.waitingFor}`);
  const message = `Step past its deadline: no worker makes progress. ${waits.join('; ')}.`;
  return { failure: { code: 'DEADLINE', message }, action: 'reconfigure' };
}
