/**
 * The coordinator's decisions: (state, event, now) -> {state, actions}. Pure; coordinator.ts carries the actions out, and
 * tests replace the clock. Owns who takes part and what a worker's word means; generations.ts, how memberships follow.
 */

import { protocolVersion, type CoordinatorMessage, type WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import { joinRefusal, messageRefusal, refuse } from './admission.js';
import { balance, balanceAdvice, onDrained, overdue, withThroughput } from './balance.js';
import { contradiction, mismatch, otherArithmetic, type Disagreement } from './agreement.js';
import {
  dismiss,
  reconfigureWithoutProgress,
  reconfigure,
  lastCommittedStep,
  interrupted,
  leave,
  lose,
  planNext,
} from './reconfigure.js';
import { startGeneration } from './start-generation.js';
import { detectFailure } from './liveness.js';
import { takeover, takeoverDue, canTakeOver } from './takeover.js';
import { applyProgress, toEvent } from './progress.js';
import { giveStatus, statusIsDue, withTimes } from './status.js';
import {
  emit,
  enter,
  fail,
  membersOf,
  newWorker,
  sendTo,
  andThen,
  warn,
  describeWorker,
  withWorker,
  type Action,
  type CoordinatorEvent,
  type Decision,
  type Failure,
  type State,
  type WorkerRecord,
} from './state.js';

/** Codes that are about what was asked for, not about the run: exit status 2 while nothing has been trained. */
const usageCodes: readonly string[] = ['CONFIG', 'DATA', 'ENGINE', 'MODEL', 'LAYOUT_MISMATCH'];

export function decide(state: State, event: CoordinatorEvent, nowMs: number): Decision {
  if (state.phase === 'done' || state.phase === 'failed') return { state, actions: [] };
  switch (event.kind) {
    case 'message':
      return onMessage(state, event.from, event.message, nowMs);
    case 'refused':
      // The first of each kind is reported, all are counted.
      return {
        state: { ...state, refused: state.refused + 1 },
        actions: event.count === 1 ? [warn(event.reason)] : [],
      };
    case 'disconnected':
      return suspect(state, null, null, nowMs);
    case 'exited':
      return onExit(state, event, nowMs);
    case 'interrupt':
      // Asked twice: at once.
      if (state.stopping !== null || membersOf(state).length === 0) return interrupted(state, event.signal);
      return reconfigure({ ...state, stopping: event.signal }, nowMs);
    case 'tick':
      return onTick(state, nowMs);
  }
}

function onMessage(state: State, from: ConnectionId, message: WorkerMessage, nowMs: number): Decision {
  if (message.type === 'join') return onJoin(state, from, message, nowMs);
  const known = state.workers.get(from);
  if (!known && message.type === 'rejoin' && canTakeOver(state)) return takeover(state, from, message, nowMs);
  if (!known) return onUnknownPeer(state, from, message);
  const wrong = messageRefusal(known, message);
  if (wrong !== undefined)
    return refuse(
      state,
      `message ${message.type}`,
      `Message from ${describeWorker(known)} refused: ${wrong}.`,
    );
  // One that isn't ready has a time to become so, whatever it says meanwhile.
  const worker: WorkerRecord = known.ready === null ? known : { ...known, lastHeardMs: nowMs };
  const heard = withWorker(state, worker);
  const current = 'generation' in message && message.generation === state.generation;
  switch (message.type) {
    case 'heartbeat': {
      const grown = message.ticks !== worker.ticks;
      const { ticks, waitingFor } = message;
      const next = { ...worker, ticks, waitingFor, tickedMs: grown ? nowMs : worker.tickedMs };
      return { state: withWorker(state, next), actions: [] };
    }
    case 'rejoin':
      return { state: heard, actions: [] };
    case 'ready':
      return onReady(heard, { ...worker, ready: message, lastHeardMs: nowMs }, nowMs);
    case 'connected': {
      if (!current || state.phase !== 'connecting') return { state: heard, actions: [] };
      const next = withWorker(heard, {
        ...worker,
        ...{ connected: true, sharing: message.sharing, tickedMs: nowMs },
      });
      if (!membersOf(next).every(({ connected }) => connected)) return { state: next, actions: [] };
      return andThen(startGeneration(next, nowMs), (going) => ({
        state: going,
        actions: next.progress.started ? [] : balanceAdvice(next),
      }));
    }
    case 'last_committed':
      if (!current || state.phase !== 'reconfiguring') return { state: heard, actions: [] };
      return planNext(
        withWorker(heard, { ...worker, lastCommitted: message.step, committedStep: message.step }),
        nowMs,
      );
    case 'drained':
      return current ? onDrained(heard, worker, nowMs) : { state: heard, actions: [] };
    case 'committed': {
      // What the members are about to be dealt is settled.
      const measuring = current && state.balance.stopAfter === null;
      const measured = measuring ? withThroughput(worker, message, nowMs) : worker;
      const committedStep = message.step;
      const next = withWorker(heard, { ...measured, committedStep, recent: withTimes(worker, message) });
      const progressed = applyProgress(next, message, nowMs);
      return progressed ? andThen(progressed, (going) => balance(going, nowMs)) : diverged(next, message);
    }
    case 'evaluated':
      return applyProgress(heard, message, nowMs) ?? diverged(heard, message);
    case 'misclassified':
    case 'model':
    case 'histograms':
      return { state: heard, actions: current ? [toEvent(worker, message)] : [] };
    case 'checkpointed':
      return onCheckpoint(heard, message, nowMs);
    case 'ledger':
      return { state: heard, actions: [{ kind: 'record', entries: message.entries }] };
    case 'spans':
      return { state: heard, actions: [{ kind: 'trace', rank: worker.rank ?? 0, spans: message.spans }] };
    case 'finished':
      if (!current || state.phase !== 'running') return { state: heard, actions: [] };
      return onFinished(heard, { ...worker, finished: message }, nowMs);
    case 'saved':
      return state.phase === 'saving' ? onSaved(heard, message.path, nowMs) : { state: heard, actions: [] };
    case 'lost':
      return current ? suspect(heard, message.rank, worker.rank, nowMs) : { state: heard, actions: [] };
    case 'failed':
      return onFailed(heard, worker, message.error, nowMs);
    case 'leave':
      return leave(heard, { ...worker, leaving: true }, nowMs);
  }
}

/** Not one of this run's workers (any more): told so, for as long as it speaks. */
function onUnknownPeer(state: State, from: ConnectionId, message: WorkerMessage): Decision {
  if (message.type === 'failed' || message.type === 'leave') return { state, actions: [] };
  if (canTakeOver(state)) {
    if (state.asked.has(from)) return { state, actions: [] };
    return {
      state: { ...state, asked: new Set(state.asked).add(from) },
      actions: [{ kind: 'send', to: from, message: { type: 'identify' } }],
    };
  }
  const error = {
    code: 'STALE_GENERATION',
    message: 'This worker is not part of the run (any more): it was given up. Start it again to join.',
  } as const;
  return { state, actions: [{ kind: 'send', to: from, message: { type: 'abort', error } }] };
}

function onJoin(
  state: State,
  from: ConnectionId,
  join: Extract<WorkerMessage, { type: 'join' }>,
  nowMs: number,
): Decision {
  // Its first word came twice.
  if (state.workers.get(from)?.join.workerId === join.workerId) return { state, actions: [] };
  const wrong = joinRefusal(state, from, join, nowMs);
  if (wrong) {
    const { code, kind, reason } = wrong;
    const message = `Worker ${join.pid} on ${join.host} refused: ${reason}`;
    const { state: counted, actions } = refuse(state, kind, message);
    const answer: Action = { kind: 'send', to: from, message: { type: 'abort', error: { code, message } } };
    return { state: counted, actions: [answer, ...actions] };
  }
  const welcome: CoordinatorMessage = {
    type: 'welcome',
    protocol: protocolVersion,
    runId: state.runId,
    config: state.config,
    definition: state.definition,
    socketDirectory: state.socketDirectory,
  };
  return {
    state: withWorker(state, newWorker(from, join, nowMs)),
    actions: [{ kind: 'send', to: from, message: welcome }],
  };
}

function onReady(state: State, worker: WorkerRecord, nowMs: number): Decision {
  // Another's: the first to join may be the last to be ready.
  const reference = [...state.workers.values()].find(
    (other) => other.ready && other.connection !== worker.connection,
  )?.ready;
  const { ready } = worker;
  const actions: Action[] = [];
  if (!reference && ready && state.resume && state.phase === 'gathering') {
    const other = otherArithmetic(state.resume, ready);
    if (other !== undefined) actions.push(warn(other));
  }
  if (reference && ready) {
    const wrong = contradiction(reference, ready, describeWorker(worker));
    if (wrong) return disagree(state, worker, wrong);
    const different = mismatch(reference, ready, describeWorker(worker));
    if (different && state.config.onMismatch === 'fail') return disagree(state, worker, different);
    if (different) actions.push(warn(different.message));
  }
  const next: Decision = { state: withWorker(state, worker), actions };
  // A finished run needs nobody, and one with a worker for each shard has no use for another.
  const full = membersOf(state).length >= state.config.shards;
  if (state.phase === 'saving' || (state.phase === 'running' && full)) return next;
  return andThen(next, (joined) => reconfigure(joined, nowMs));
}

/** Before the run has begun that ends it; later it only keeps the newcomer out. */
function disagree(state: State, worker: WorkerRecord, error: Disagreement): Decision {
  if (state.phase === 'gathering') return fail(withWorker(state, worker), error, 2);
  const workers = new Map(state.workers);
  workers.delete(worker.connection);
  // Said once a kind: whoever reaches the port can try again and again. The worker itself is told each time.
  const message = `Worker ${worker.join.pid} on ${worker.join.host} refused: ${error.message}`;
  const { state: counted, actions } = refuse({ ...state, workers }, `disagreement ${error.code}`, message);
  return {
    state: counted,
    actions: [{ kind: 'send', to: worker.connection, message: { type: 'abort', error } }, ...actions],
  };
}

function onFinished(state: State, worker: WorkerRecord, nowMs: number): Decision {
  const next = withWorker(state, worker);
  const members = membersOf(next);
  if (members.some(({ finished }) => finished === null)) return { state: next, actions: [] };
  const hashes = new Set(members.map(({ finished }) => finished?.weightsSha256));
  if (hashes.size > 1) {
    const message = `Workers ended with different weights: ${[...hashes].join(', ')}.`;
    return fail(next, { code: 'INVARIANT', message }, 1);
  }
  const saver = members.filter(({ rank }) => rank === 0);
  const saving: Decision = {
    state: enter(next, 'saving', nowMs),
    actions: sendTo(saver, { type: 'save', generation: state.generation, directory: state.out ?? '' }),
  };
  return andThen(saving, (last) => giveStatus(last, nowMs));
}

function onSaved(state: State, path: string, nowMs: number): Decision {
  const { progress } = state;
  const finished = membersOf(state)[0]?.finished;
  return {
    state: enter(state, 'done', nowMs),
    actions: [
      ...(path === '' ? [] : [emit({ event: 'saved', path })]),
      emit({
        event: 'done',
        steps: finished?.steps ?? 0,
        seconds: (nowMs - progress.startedMs) / 1000,
        imagesPerSecond: progress.trainingMs > 0 ? (progress.samples / progress.trainingMs) * 1000 : 0,
        weightsSha256: finished?.weightsSha256 ?? '',
      }),
      ...sendTo(state.workers.values(), { type: 'finish' }),
      { kind: 'end', status: 0 },
    ],
  };
}

function onCheckpoint(
  state: State,
  { step, path, error }: Extract<WorkerMessage, { type: 'checkpointed' }>,
  nowMs: number,
): Decision {
  // One that was being written when the run was stopped comes first, and is of an earlier step.
  const last = state.phase === 'stopping' && step >= lastCommittedStep(state);
  if (error !== null) {
    if (last)
      return fail(
        state,
        { code: 'CHECKPOINT', message: error || 'The last checkpoint failed as the one before.' },
        1,
      );
    return { state, actions: error === '' ? [] : [warn(error)] };
  }
  const known = state.checkpoint?.step === step && state.checkpoint.path === path;
  const written: Decision = {
    state: { ...state, checkpoint: { path, step } },
    actions: known ? [] : [emit({ event: 'checkpoint', step, path })],
  };
  if (!last) return written;
  const { stopping } = state;
  return andThen(written, (next) => (stopping === null ? dismiss(next, nowMs) : interrupted(next, stopping)));
}

/** What is wrong with the run would be wrong with every worker; what is wrong with one costs that one. */
function onFailed(state: State, worker: WorkerRecord, error: Failure, nowMs: number): Decision {
  const early = !state.progress.started;
  const own = error.code === 'PEER_LOST' || error.code === 'STALE_GENERATION' || error.code === 'INTERRUPTED';
  if (own || (!early && worker.rank === null)) {
    return lose(state, worker, `Worker lost: ${describeWorker(worker)} failed: ${error.message}`, nowMs);
  }
  return fail(state, error, early && usageCodes.includes(error.code) ? 2 : 1);
}

function onExit(
  state: State,
  { pid, how, final }: Extract<CoordinatorEvent, { kind: 'exited' }>,
  nowMs: number,
): Decision {
  const worker = [...state.workers.values()].find(({ join }) => join.pid === pid && join.host === state.host);
  const message = worker
    ? `Worker lost: ${describeWorker(worker)} ${how}.`
    : `Worker lost: pid ${pid} ${how} before it had joined.`;
  const lost: Decision = worker
    ? lose(state, worker, message, nowMs)
    : { state, actions: final ? [warn(message)] : [] };
  if (!final) return lost;
  // Nobody will come in its place.
  return andThen(lost, (next) => {
    const enough = next.phase !== 'gathering' && next.workers.size >= next.config.minWorkers;
    if (enough || next.phase === 'failed') return { state: next, actions: [] };
    return fail(next, { code: 'PEER_LOST', message: `${message} It was started too often.` }, 1);
  });
}

function onTick(state: State, nowMs: number): Decision {
  const due = takeoverDue(state, nowMs) ?? overdue(state, nowMs);
  if (due) return due;
  const verdict = detectFailure(state, nowMs);
  if (verdict) {
    const { failure, worker, action } = verdict;
    if (action === 'fail') return fail(state, failure, 1);
    if (worker) return lose(state, worker, failure.message, nowMs);
    return reconfigureWithoutProgress(state, failure.message, nowMs);
  }
  const { heartbeatMs } = state.config;
  const suspicions = state.suspicions.filter(({ untilMs }) => untilMs > nowMs);
  const beats = nowMs - state.lastBeatMs >= heartbeatMs;
  const heard: Decision = {
    state: { ...state, suspicions, lastBeatMs: beats ? nowMs : state.lastBeatMs },
    actions: beats ? sendTo(state.workers.values(), { type: 'heartbeat' }) : [],
  };
  return statusIsDue(state, nowMs) ? andThen(heard, (next) => giveStatus(next, nowMs)) : heard;
}

/** Whoever is gone stays silent; whoever speaks again within the time is not. */
function suspect(state: State, rank: number | null, reporter: number | null, nowMs: number): Decision {
  const untilMs = nowMs + 3 * state.config.heartbeatMs;
  if (rank !== null && state.phase === 'reconfiguring') return { state, actions: [] };
  if (state.suspicions.some((held) => held.rank === rank)) return { state, actions: [] };
  return { state: { ...state, suspicions: [...state.suspicions, { rank, reporter, untilMs }] }, actions: [] };
}

function diverged(state: State, message: WorkerMessage): Decision {
  const step = message.type === 'committed' ? message.step : state.progress.step;
  return fail(state, { code: 'INVARIANT', message: `Workers report different losses for step ${step}.` }, 1);
}
