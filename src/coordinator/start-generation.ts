/** The start of a generation and its events. Pure. */

import { totalSteps } from '../shared/data/sampler.js';
import { emit, sendTo } from './actions.js';
import { enter, moveTo } from './transitions.js';
import type { Action, Decision, Member, State, WorkerRecord } from './types.js';
import { isMember, membersOf, rankedMembers } from './workers.js';

/** Starts the training of a generation whose members are all connected. */
export function startGeneration(state: State, nowMs: number): Decision {
  const { progress, generation } = state;
  const first = !progress.started;
  const durationMs = nowMs - state.reconfiguration.sinceMs;
  const members = membersOf(state);
  const sharesMemory = members.every(
    ({ lifecycle }) => lifecycle.state === 'connected' && lifecycle.sharesMemory,
  );
  const running: State = {
    ...enter(state, 'running', nowMs),
    workers: state.workers.map(run),
    trained: members[0]?.lifecycle.ready ?? state.trained,
    balance: {
      ...state.balance,
      unmeasuredMembers: members.length,
      costMs: first ? state.balance.costMs : durationMs,
    },
    progress: {
      ...progress,
      started: true,
      startedMs: first ? nowMs : progress.startedMs,
      markMs: nowMs,
      firstOfGeneration: true,
    },
  };
  return {
    state: running,
    actions: [
      first ? startEvent(running) : generationEvent(running, durationMs),
      ...sendTo(members, { type: 'start_generation', generation, sharesMemory }),
    ],
  };
}

function run(worker: WorkerRecord): WorkerRecord {
  if (!isMember(worker)) return worker;
  const { ready, rank, shards } = worker.lifecycle;
  return moveTo(worker, { state: 'running', ready, rank, shards });
}

function generationEvent(state: State, durationMs: number): Action {
  const { generation, reconfiguration, progress } = state;
  return emit({
    event: 'generation',
    generation,
    step: progress.step,
    seconds: durationMs / 1000,
    reason: reconfiguration.reason,
    workers: rankedMembers(state).map(({ join, computeTimes, lifecycle: { rank, shards } }) => ({
      rank,
      pid: join.pid,
      host: join.host,
      shards: shards ?? { start: 0, end: 0 },
      shardMs: computeTimes?.shardMs ?? null,
    })),
  });
}

/** Number of steps of the whole run; equal for all members. */
export function totalStepsOf({ config }: State, { lifecycle: { ready } }: Member): number {
  return totalSteps(Math.ceil(ready.trainCount / config.batchSize), config.epochs, config.maxSteps);
}

function startEvent(state: State): Action {
  const [member] = membersOf(state);
  const ready = member?.lifecycle.ready;
  return emit({
    event: 'start',
    epochs: state.config.epochs,
    steps: member ? totalStepsOf(state, member) : 0,
    stepsPerEpoch: Math.ceil((ready?.trainCount ?? 0) / state.config.batchSize),
    parameters: ready?.parameterCount ?? 0,
    dataSha256: ready?.dataSha256 ?? '',
  });
}
