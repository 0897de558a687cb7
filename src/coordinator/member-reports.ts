/** Reports of a worker about itself: `heartbeat`, `connected` and `last_committed`. Pure. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import { andThen, noActions } from './actions.js';
import { balanceAdvice } from './balance.js';
import { planNext } from './plan-next.js';
import { startGeneration } from './start-generation.js';
import { moveTo } from './transitions.js';
import type { Decision, State, WorkerRecord } from './types.js';
import { withUsage } from './usage.js';
import { allMembersAre, withWorker } from './workers.js';

export function onHeartbeat(
  state: State,
  worker: WorkerRecord,
  { ticks, waitingFor, usage }: MessageOf<WorkerMessage, 'heartbeat'>,
  nowMs: number,
): Decision {
  const tickedMs = ticks === worker.activity.ticks ? worker.activity.tickedMs : nowMs;
  return noActions(
    withWorker(state, {
      ...worker,
      activity: { ticks, tickedMs, waitingFor },
      usage: usage ? withUsage(worker.usage, usage) : worker.usage,
    }),
  );
}

export function onConnected(
  state: State,
  worker: WorkerRecord,
  { sharesMemory }: MessageOf<WorkerMessage, 'connected'>,
  nowMs: number,
): Decision {
  if (worker.lifecycle.state !== 'connecting') return noActions(state);
  const { ready, rank, shards } = worker.lifecycle;
  const connected = moveTo(worker, { state: 'connected', ready, rank, shards, sharesMemory });
  const next = withWorker(state, { ...connected, activity: { ...worker.activity, tickedMs: nowMs } });
  if (!allMembersAre(next, 'connected')) return noActions(next);
  const advice = next.progress.started ? [] : balanceAdvice(next);
  return andThen(startGeneration(next, nowMs), (running) => ({ state: running, actions: advice }));
}

export function onLastCommitted(
  state: State,
  worker: WorkerRecord,
  { step }: MessageOf<WorkerMessage, 'last_committed'>,
  nowMs: number,
): Decision {
  if (worker.lifecycle.state !== 'stopping') return noActions(state);
  const { ready, rank, shards, leaving } = worker.lifecycle;
  const stopped = moveTo(worker, { state: 'stopped', ready, rank, shards, leaving, lastCommitted: step });
  return planNext(withWorker(state, { ...stopped, committedStep: step }), nowMs);
}
