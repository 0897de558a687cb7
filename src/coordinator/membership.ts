/**
 * The coordinator's decisions: (state, event, now) -> {state, actions}. Pure; coordinator.ts carries the actions out, and
 * tests replace the clock. Owns who takes part, when a phase begins, and who is to blame when the run can't go on.
 */

import { protocolVersion, type CoordinatorMessage, type WorkerMessage } from '../shared/protocol/messages.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import { contradiction, mismatch } from './agreement.js';
import { blame } from './liveness.js';
import { applyProgress } from './progress.js';
import {
  who,
  type Action,
  type CoordinatorEvent,
  type Decision,
  type Failure,
  type Phase,
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
      return { state, actions: [{ kind: 'emit', event: { event: 'warning', message: event.reason } }] };
    case 'disconnected':
      return suspect(state, null, null, nowMs);
    case 'exited':
      return onExit(state, event.pid, event.how);
    case 'interrupt':
      return fail(
        state,
        { code: 'INTERRUPTED', message: `Interrupted by ${event.signal} after step ${state.progress.step}.` },
        130,
      );
    case 'tick':
      return onTick(state, nowMs);
  }
}

function onMessage(state: State, from: ConnectionId, message: WorkerMessage, nowMs: number): Decision {
  if (message.type === 'join') return onJoin(state, from, message, nowMs);
  const known = state.workers.get(from);
  if (!known) {
    // Not one of this run's workers (any more); it has been told so.
    return { state, actions: [] };
  }
  const worker: WorkerRecord = { ...known, lastHeardMs: nowMs };
  const heard = withWorker(state, worker);
  switch (message.type) {
    case 'heartbeat': {
      const grown = message.ticks !== worker.ticks;
      const { ticks, waitingFor } = message;
      const next = { ...worker, ticks, waitingFor, tickedMs: grown ? nowMs : worker.tickedMs };
      return { state: withWorker(state, next), actions: [] };
    }
    case 'ready':
      return onReady(heard, { ...worker, ready: message }, nowMs);
    case 'connected': {
      const next = withWorker(heard, { ...worker, connected: true, tickedMs: nowMs });
      if (![...next.workers.values()].every(({ connected }) => connected))
        return { state: next, actions: [] };
      const started = enter(next, 'running', nowMs);
      return {
        state: { ...started, progress: { ...started.progress, startedMs: nowMs, markMs: nowMs } },
        actions: [
          { kind: 'emit', event: startEvent(started) },
          ...broadcast(started, { type: 'go', generation: state.generation }),
        ],
      };
    }
    case 'committed':
    case 'evaluated': {
      const step = message.type === 'committed' ? message.step : worker.committedStep;
      return (
        applyProgress(withWorker(heard, { ...worker, committedStep: step }), message, nowMs) ??
        diverged(heard, message)
      );
    }
    case 'ledger':
      return { state: heard, actions: [{ kind: 'record', entries: message.entries }] };
    case 'spans':
      return { state: heard, actions: [{ kind: 'trace', rank: worker.rank ?? 0, spans: message.spans }] };
    case 'finished':
      return onFinished(heard, { ...worker, finished: message }, nowMs);
    case 'saved': {
      const { progress } = heard;
      const seconds = (nowMs - progress.startedMs) / 1000;
      const finished = [...heard.workers.values()][0]?.finished;
      return {
        state: enter(heard, 'done', nowMs),
        actions: [
          ...(message.path === '' ? [] : [emit({ event: 'saved', path: message.path } as const)]),
          emit({
            event: 'done',
            steps: finished?.steps ?? 0,
            seconds,
            imagesPerSecond: progress.trainingMs > 0 ? (progress.samples / progress.trainingMs) * 1000 : 0,
            weightsSha256: finished?.weightsSha256 ?? '',
          }),
          ...broadcast(heard, { type: 'finish' }),
          { kind: 'end', status: 0 },
        ],
      };
    }
    case 'lost':
      return suspect(heard, message.rank, worker.rank, nowMs);
    case 'failed':
      return onFailed(heard, worker, message.error);
    case 'leave':
      return fail(
        heard,
        { code: 'PEER_LOST', message: `Worker left: ${who(worker)} was told to stop.` },
        1,
        worker,
      );
  }
}

function onJoin(
  state: State,
  from: ConnectionId,
  join: Extract<WorkerMessage, { type: 'join' }>,
  nowMs: number,
): Decision {
  const refuse = (code: 'PROTOCOL' | 'CONFIG', message: string): Decision => ({
    state,
    actions: [
      { kind: 'send', to: from, message: { type: 'abort', error: { code, message } } },
      emit({ event: 'warning', message }),
    ],
  });
  if (join.protocol !== protocolVersion) {
    return refuse(
      'PROTOCOL',
      `Worker ${join.pid} refused: it speaks protocol ${join.protocol}, this run ${protocolVersion}.`,
    );
  }
  if (state.phase !== 'gathering') {
    return refuse(
      'CONFIG',
      `Worker ${join.pid} on ${join.host} refused: the run has its ${state.config.workers} workers.`,
    );
  }
  const worker: WorkerRecord = {
    connection: from,
    join,
    ready: null,
    rank: null,
    connected: false,
    committedStep: 0,
    finished: null,
    lastHeardMs: nowMs,
    ticks: 0,
    tickedMs: nowMs,
    waitingFor: '',
  };
  const joined = withWorker(state, worker);
  const welcome: CoordinatorMessage = {
    type: 'welcome',
    protocol: protocolVersion,
    runId: state.runId,
    config: state.config,
    definition: state.definition,
    socketDirectory: state.socketDirectory,
  };
  const actions: Action[] = [{ kind: 'send', to: from, message: welcome }];
  if (joined.workers.size < state.config.workers) return { state: joined, actions };
  return { state: enter(joined, 'preparing', nowMs), actions };
}

function onReady(state: State, worker: WorkerRecord, nowMs: number): Decision {
  const next = withWorker(state, worker);
  const workers = [...next.workers.values()];
  // Another's: the first to join may be the last to be ready.
  const reference = workers.find((other) => other.ready && other.connection !== worker.connection)?.ready;
  const { ready } = worker;
  const actions: Action[] = [];
  if (reference && ready) {
    const wrong = contradiction(reference, ready, who(worker));
    if (wrong) return fail(next, wrong, 2);
    const different = mismatch(reference, ready, who(worker));
    if (different && state.config.onMismatch === 'fail') return fail(next, different, 2);
    if (different) actions.push(emit({ event: 'warning', message: different.message }));
  }
  if (workers.length < state.config.workers || workers.some((other) => other.ready === null)) {
    return { state: next, actions };
  }
  // Rank 0 writes the model: a worker on the coordinator's own host if there is one.
  const local = (other: WorkerRecord): number => (other.join.host === state.host ? 0 : 1);
  const ranked = [...workers].sort((a, b) => local(a) - local(b)).map((other, rank) => ({ ...other, rank }));
  const members = ranked.map(({ rank, ready: r, join }) => ({
    rank,
    endpoint: r?.endpoint ?? '',
    memory: r?.memory ?? null,
    pid: join.pid,
    host: join.host,
  }));
  const connecting = enter(
    {
      ...next,
      generation: state.generation + 1,
      workers: new Map(ranked.map((other) => [other.connection, other])),
    },
    'connecting',
    nowMs,
  );
  const { generation, config } = connecting;
  return {
    state: connecting,
    actions: actions.concat(
      ranked.flatMap((other): Action[] => [
        emit({
          event: 'worker',
          state: 'joined',
          rank: other.rank,
          pid: other.join.pid,
          host: other.join.host,
          device: other.ready?.device ?? '',
          engine: other.ready?.engine ?? '',
          generation,
        }),
        {
          kind: 'send',
          to: other.connection,
          message: {
            type: 'plan',
            plan: { generation, rank: other.rank, shards: config.shards, workers: members },
          },
        },
      ]),
    ),
  };
}

function onFinished(state: State, worker: WorkerRecord, nowMs: number): Decision {
  const next = withWorker(state, worker);
  const workers = [...next.workers.values()];
  if (workers.some(({ finished }) => finished === null)) return { state: next, actions: [] };
  const hashes = new Set(workers.map(({ finished }) => finished?.weightsSha256));
  if (hashes.size > 1) {
    const message = `Workers ended with different weights: ${[...hashes].join(', ')}.`;
    return fail(next, { code: 'INVARIANT', message }, 1);
  }
  const saver = workers.find(({ rank }) => rank === 0);
  const save: CoordinatorMessage = { type: 'save', directory: state.out ?? '' };
  return {
    state: enter(next, 'saving', nowMs),
    actions: saver ? [{ kind: 'send', to: saver.connection, message: save }] : [],
  };
}

function onFailed(state: State, worker: WorkerRecord, error: Failure): Decision {
  const early = state.phase === 'gathering' || state.phase === 'preparing' || state.phase === 'connecting';
  const status = early && usageCodes.includes(error.code) ? 2 : 1;
  return fail(state, error, status, worker);
}

function onExit(state: State, pid: number, how: string): Decision {
  const worker = [...state.workers.values()].find(({ join }) => join.pid === pid && join.host === state.host);
  if (worker)
    return fail(state, { code: 'PEER_LOST', message: `Worker lost: ${who(worker)} ${how}.` }, 1, worker);
  return fail(
    state,
    { code: 'PEER_LOST', message: `Worker lost: pid ${pid} ${how} before it had joined.` },
    1,
  );
}

function onTick(state: State, nowMs: number): Decision {
  const guilty = blame(state, nowMs);
  if (guilty) return fail(state, guilty.failure, 1, guilty.worker);
  const { heartbeatMs } = state.config;
  const suspicions = state.suspicions.filter(({ untilMs }) => untilMs > nowMs);
  if (nowMs - state.lastBeatMs < heartbeatMs) return { state: { ...state, suspicions }, actions: [] };
  return {
    state: { ...state, suspicions, lastBeatMs: nowMs },
    actions: broadcast(state, { type: 'heartbeat' }),
  };
}

/** Whoever is gone stays silent; whoever speaks again within the time is not. */
function suspect(state: State, rank: number | null, reporter: number | null, nowMs: number): Decision {
  const untilMs = nowMs + 3 * state.config.heartbeatMs;
  if (state.suspicions.some((held) => held.rank === rank)) return { state, actions: [] };
  return { state: { ...state, suspicions: [...state.suspicions, { rank, reporter, untilMs }] }, actions: [] };
}

function diverged(state: State, message: WorkerMessage): Decision {
  const step = message.type === 'committed' ? message.step : state.progress.step;
  return fail(state, { code: 'INVARIANT', message: `Workers report different losses for step ${step}.` }, 1);
}

/** Ends the run: everyone is told why, once. */
function fail(state: State, failure: Failure, status: number, worker?: WorkerRecord): Decision {
  const lost: Action[] =
    worker && failure.code === 'PEER_LOST'
      ? [
          emit({
            event: 'worker',
            state: failure.message.startsWith('Worker left') ? 'left' : 'lost',
            rank: worker.rank,
            pid: worker.join.pid,
            host: worker.join.host,
            device: worker.ready?.device ?? '',
            engine: worker.ready?.engine ?? '',
            generation: state.generation,
            reason: failure.message,
          }),
        ]
      : [];
  return {
    state: { ...state, phase: 'failed' },
    actions: [
      ...lost,
      emit({ event: 'error', code: failure.code, message: failure.message }),
      ...broadcast(state, {
        type: 'abort',
        error: { code: failure.code, message: failure.message.slice(0, 16_000) },
      }),
      { kind: 'end', status },
    ],
  };
}

function startEvent(state: State): Extract<Action, { kind: 'emit' }>['event'] {
  const ready = [...state.workers.values()][0]?.ready;
  const stepsPerEpoch = Math.ceil((ready?.trainCount ?? 0) / state.config.batchSize);
  const all = stepsPerEpoch * state.config.epochs;
  return {
    event: 'start',
    epochs: state.config.epochs,
    steps: Math.min(all, state.config.maxSteps ?? all),
    stepsPerEpoch,
    parameters: ready?.parameterCount ?? 0,
    dataSha256: ready?.dataSha256 ?? '',
  };
}

function emit(event: Extract<Action, { kind: 'emit' }>['event']): Action {
  return { kind: 'emit', event };
}

function enter(state: State, phase: Phase, nowMs: number): State {
  return { ...state, phase, phaseSinceMs: nowMs };
}

function withWorker(state: State, worker: WorkerRecord): State {
  return { ...state, workers: new Map(state.workers).set(worker.connection, worker) };
}

function broadcast(state: State, message: CoordinatorMessage): Action[] {
  return [...state.workers.keys()].map((to) => ({ kind: 'send', to, message }));
}
