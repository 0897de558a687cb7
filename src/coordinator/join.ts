/** The messages of a worker before it is a member: `join`, `loading` and `ready`, and messages of unknown peers. Pure. */

import {
  protocolVersion,
  type CoordinatorMessage,
  type MessageOf,
  type WorkerMessage,
} from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import { abortMessage, andThen, emit, fail, noActions, warn } from './actions.js';
import { joinRefusal, refuse } from './admission.js';
import {
  compileChange,
  contradiction,
  dataChange,
  mismatch,
  otherValues,
  resumeMismatch,
  withSharedFingerprint,
  type Disagreement,
} from './agreement.js';
import { beginLoading } from './loading.js';
import { reconfigure } from './reconfigure.js';
import { canTakeOver } from './takeover.js';
import { moveTo } from './transitions.js';
import type { Action, Decision, ReadyMessage, State, WorkerRecord } from './types.js';
import { describeWorker, membersOf, newWorker, readyOf, withWorker } from './workers.js';

/** Longest time after `join` for which an installation extends the deadlines: a peer could report one for ever. */
const maxInstallationMs = 3_600_000;

/** Handles a message of a peer that has not joined this coordinator, or was removed from the run. In a takeover, it may be a member. */
export function onUnknownPeer(state: State, from: ConnectionId, message: WorkerMessage): Decision {
  if (message.type === 'failed' || message.type === 'leave' || message.type === 'loading')
    return noActions(state);
  if (canTakeOver(state)) return identify(state, from);
  const abort = abortMessage({
    code: 'STALE_GENERATION',
    message:
      'Message refused: expected a worker of this run, got one that never joined or was removed. Start the worker again to join.',
  });
  return { state, actions: [{ kind: 'send', to: from, message: abort }] };
}

function identify(state: State, from: ConnectionId): Decision {
  const { takeover } = state;
  if (takeover.identified.has(from)) return noActions(state);
  const identified = new Set(takeover.identified).add(from);
  return {
    state: { ...state, takeover: { ...takeover, identified } },
    actions: [{ kind: 'send', to: from, message: { type: 'identify' } }],
  };
}

export function onJoin(
  state: State,
  from: ConnectionId,
  join: MessageOf<WorkerMessage, 'join'>,
  nowMs: number,
): Decision {
  // The message was received twice.
  if (state.workers.get(from)?.join.workerId === join.workerId) return noActions(state);
  const refusal = joinRefusal(state, from, join, nowMs);
  if (refusal) {
    const { code, kind, reason } = refusal;
    const message = `Worker ${join.pid} on ${join.host} refused: ${reason}`;
    return abortRefused(refuse(state, kind, message), from, { code, message });
  }
  const welcome: CoordinatorMessage = {
    type: 'welcome',
    protocol: protocolVersion,
    runId: state.runId,
    config: state.config,
    definition: state.definition,
    preprocessing: state.resume?.preprocessing ?? null,
    socketDirectory: state.socketDirectory,
    folder: state.folder ?? null,
  };
  return {
    state: withWorker(state, newWorker(from, join, beginLoading(nowMs), nowMs)),
    actions: [{ kind: 'send', to: from, message: welcome }],
  };
}

/**
 * Adds an action that sends the error to the refused worker. `actions` contains a warning if this is the first refusal of its kind.
 */
function abortRefused({ state, actions }: Decision, to: ConnectionId, error: Disagreement): Decision {
  return { state, actions: [{ kind: 'send', to, message: abortMessage(error) }, ...actions] };
}

/**
 * Records the stage. While another process installs the engine, the time does not count against `joinTimeoutMs`: the worker repeats its
 * message, and each one restarts the deadlines of the run and of the worker. So does the message that ends this stage.
 */
export function onLoading(
  state: State,
  worker: WorkerRecord,
  { stage, lock }: MessageOf<WorkerMessage, 'loading'>,
  nowMs: number,
): Decision {
  const { lifecycle } = worker;
  if (lifecycle.state !== 'loading') return noActions(state);
  const { joinedMs } = lifecycle;
  const isRepeated = lifecycle.stage === stage;
  const stageSinceMs = isRepeated ? lifecycle.stageSinceMs : nowMs;
  const isExtended =
    (stage === 'installation' || lifecycle.stage === 'installation') && nowMs - joinedMs <= maxInstallationMs;
  const next: WorkerRecord = {
    ...worker,
    lifecycle: { state: 'loading', joinedMs, stage, lock: lock ?? null, stageSinceMs },
    ...(isExtended && { lastHeardMs: nowMs }),
  };
  const restarts = isExtended && state.phase === 'gathering';
  const after = withWorker(restarts ? { ...state, phaseSinceMs: nowMs } : state, next);
  if (stage !== 'installation' || isRepeated || isReported(state, worker, lock ?? null))
    return noActions(after);
  const message =
    `${describeWorker(worker)} waits until another process has installed TensorFlow (its lock: ${lock ?? 'unknown'}). ` +
    'This time does not count against joinTimeoutMs.';
  return { state: after, actions: [warn(message.charAt(0).toUpperCase() + message.slice(1))] };
}

/** Returns true if another worker of the host waits for the same installation. */
function isReported(state: State, { join }: WorkerRecord, lock: string | null): boolean {
  return [...state.workers.values()].some(
    ({ join: other, lifecycle }) =>
      lifecycle.state === 'loading' &&
      lifecycle.stage === 'installation' &&
      other.host === join.host &&
      lifecycle.lock === lock,
  );
}

export function onReady(state: State, worker: WorkerRecord, ready: ReadyMessage, nowMs: number): Decision {
  const other = referenceReady(state, worker);
  const reference = other ?? state;
  const kept = withSharedFingerprint(reference, ready);
  const standby = { ...moveTo(worker, { state: 'standby', ready: kept }), lastHeardMs: nowMs };
  const actions: Action[] = [];
  const from = describeWorker(worker);
  const different = mismatch(reference, ready, from);
  if (different && state.config.onMismatch === 'fail') return disagree(state, standby, different, nowMs);
  const wrong = contradiction(reference, ready, from);
  if (wrong) return disagree(state, standby, wrong, nowMs);
  if (different) actions.push(warn(different.message));
  const values = otherValues(state, ready, from);
  if (values !== undefined) actions.push(warn(values));
  if (!other && state.resume && state.phase === 'gathering') {
    const different = resumeMismatch(state.resume, ready);
    if (different !== undefined) actions.push(warn(different));
    // Without `allowOtherData`, the worker that reads the checkpoint refuses other data.
    const change = state.config.allowOtherData ? dataChange(state.resume, ready) : undefined;
    if (change) actions.push(emit(change));
    const { events, refusal } = compileChange(state.resume, state.config, ready);
    if (refusal) return disagree(state, standby, refusal, nowMs);
    actions.push(...events.map(emit));
  }
  // Every worker sends the same warnings, so only those of the first ready worker are emitted.
  if (!other && state.phase === 'gathering') actions.push(...(ready.warnings ?? []).map(warn));
  const next: Decision = { state: withWorker(state, standby), actions };
  // The worker stands by if there is no shard for it, if the model is being saved, or while a takeover waits for members.
  const joined = state.phase === 'running' || state.phase === 'connecting';
  const full = joined && membersOf(state).length >= state.config.shards;
  if (state.phase === 'saving' || state.takeover.pending !== null || full) return next;
  return andThen(next, (ready) => reconfigure(ready, nowMs));
}

/**
 * The `ready` message with which that of `worker` is compared: that of any other ready worker. If no other worker is ready, it is that of a
 * worker that has trained before and is gone, because its replacement must compute the same values.
 */
function referenceReady(state: State, worker: WorkerRecord): ReadyMessage | null {
  for (const other of state.workers.values()) {
    const ready = other.connection === worker.connection ? null : readyOf(other);
    if (ready) return ready;
  }
  return state.trained;
}

/** In phase `gathering`, a disagreement ends the run. Later, only the new worker is refused. */
function disagree(state: State, worker: WorkerRecord, error: Disagreement, nowMs: number): Decision {
  if (state.phase === 'gathering') return fail(withWorker(state, worker), error, 2, nowMs);
  const message = `Worker ${worker.join.pid} on ${worker.join.host} refused: ${error.message}`;
  const without: State = { ...state, workers: state.workers.delete(worker.connection) };
  return abortRefused(refuse(without, `disagreement ${error.code}`, message), worker.connection, error);
}
