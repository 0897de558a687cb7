/** A generation begins: training goes on, and the run's events say so. Pure. */

import { totalSteps } from '../shared/data/sampler.js';
import { emit, enter, membersOf, sendTo, type Action, type Decision, type State } from './state.js';

/** All members have met: training goes on. */
export function startGeneration(state: State, nowMs: number): Decision {
  const members = membersOf(state);
  const { progress, generation } = state;
  const first = !progress.started;
  const regroupedMs = nowMs - state.endedMs;
  const running: State = {
    ...enter(state, 'running', nowMs),
    balance: first ? state.balance : { ...state.balance, costMs: regroupedMs },
    progress: {
      ...progress,
      started: true,
      startedMs: first ? nowMs : progress.startedMs,
      markMs: nowMs,
    },
  };
  return {
    state: running,
    actions: [
      ...(first ? [startEvent(running)] : [generationEvent(running, regroupedMs)]),
      ...sendTo(members, {
        type: 'start_generation',
        generation,
        sharing: members.every(({ sharing }) => sharing),
      }),
    ],
  };
}

function generationEvent(state: State, regroupedMs: number): Action {
  const { generation, reason, progress } = state;
  const members = membersOf(state).sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0));
  return emit({
    ...{ event: 'generation', generation, step: progress.step, seconds: regroupedMs / 1000, reason },
    workers: members.map(({ rank, join, shards, throughput }) => ({
      ...{ rank: rank ?? 0, pid: join.pid, host: join.host },
      ...{ shards: shards ?? { start: 0, end: 0 }, shardMs: throughput?.shardMs ?? null },
    })),
  });
}

/** Of the whole run; 0 before the first worker is ready. */
export function totalStepsOf(state: State): number {
  return totalSteps(stepsPerEpochOf(state), state.config.epochs, state.config.maxSteps);
}

function stepsPerEpochOf(state: State): number {
  return Math.ceil((membersOf(state)[0]?.ready?.trainCount ?? 0) / state.config.batchSize);
}

function startEvent(state: State): Action {
  const ready = membersOf(state)[0]?.ready;
  return emit({
    event: 'start',
    epochs: state.config.epochs,
    steps: totalStepsOf(state),
    stepsPerEpoch: stepsPerEpochOf(state),
    parameters: ready?.parameterCount ?? 0,
    dataSha256: ready?.dataSha256 ?? '',
  });
}
