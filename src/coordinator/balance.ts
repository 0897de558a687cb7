/**
 * `--balance speed`: when to deal the shards anew, by the pace that each worker measures. Pure. Owns the decision and how the
 * members come to a boundary; what the new dealing is, is planned with the next generation (generations.ts).
 *
 * Dealing anew changes no bit and costs no step: members stop after a step that lies far enough ahead for all to hear of it.
 * It must be worth it, and it must not go to and fro: the medians of a window of stretches decide, the gain must exceed a
 * margin and what it costs, and each dealing is followed by a rest, longer every time.
 */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import { assignShards, slowestMs, type Throughput } from './shard-assignment.js';
import { median } from '../shared/arithmetic/quantile.js';
import { totalOf, waitingOf } from '../shared/timeline/step-parts.js';
import { reconfigure } from './reconfigure.js';
import { totalStepsOf } from './start-generation.js';
import {
  membersOf,
  sendTo,
  warn,
  withWorker,
  type Action,
  type Balancing,
  type Decision,
  type State,
  type WorkerRecord,
} from './state.js';

/** At least so long, or one step: longer than the turns in which an operating system or a container's quota gives out its cores. */
export const sampleWindowMs = 250;
/** Stretches that a median is taken over: a worker that is slow in most of them counts as slow. */
export const sampleWindows = 9;
/** The slowest share must become shorter by this part at least. */
const margin = 0.1;
/** The time that is won until the run's end must be so many times what a new generation costs. */
const worth = 4;
/** Until a new generation's cost has been measured. */
const assumedCostMs = 500;
/** Of the rest after the first dealing; doubles with each, up to the most. */
const cooldownMs = 10_000;
const maxCooldownMs = 120_000;
/** Steps from the last one known to the one that members stop after: one may be in flight, one hasn't begun. */
const stepsAhead = 2;
/** Members that stopped wait so many heartbeats for one that didn't hear of it in time; its step is given up then. */
const patienceBeats = 4;

/** With another step of the current generation measured. */
export function withThroughput(
  worker: WorkerRecord,
  { times }: MessageOf<WorkerMessage, 'committed'>,
  nowMs: number,
): WorkerRecord {
  const { shards } = worker;
  if (!times || !shards) return worker;
  const before = worker.sampleWindow ?? { sinceMs: nowMs, steps: 0, shardsMs: 0, updateMs: 0 };
  const sampleWindow = {
    ...before,
    steps: before.steps + 1,
    shardsMs: before.shardsMs + totalOf(times) - waitingOf(times) - times.update,
    updateMs: before.updateMs + times.update,
  };
  if (nowMs - sampleWindow.sinceMs < sampleWindowMs) return { ...worker, sampleWindow };
  const throughput: Throughput = {
    shardMs: sampleWindow.shardsMs / (sampleWindow.steps * (shards.end - shards.start)),
    updateMs: sampleWindow.updateMs / sampleWindow.steps,
  };
  const throughputs = [...worker.throughputs, throughput].slice(-sampleWindows);
  return {
    ...{ ...worker, throughputs, sampleWindow: { sinceMs: nowMs, steps: 0, shardsMs: 0, updateMs: 0 } },
    throughput: throughputs.length < sampleWindows ? worker.throughput : typical(throughputs),
  };
}

function typical(throughputs: readonly Throughput[]): Throughput {
  return {
    shardMs: median(throughputs.map(({ shardMs }) => shardMs)),
    updateMs: median(throughputs.map(({ updateMs }) => updateMs)),
  };
}

/** Asks the members to stop at a boundary, if another dealing is worth it. */
export function balance(state: State, nowMs: number): Decision {
  if (!worthReassigning(state, nowMs)) return { state, actions: [] };
  const stopAfter = state.progress.step + stepsAhead;
  return {
    state: { ...state, balance: { ...state.balance, stopAfter, drainedMs: null } },
    actions: sendTo(membersOf(state), { type: 'drain', generation: state.generation, after: stopAfter }),
  };
}

function worthReassigning(state: State, nowMs: number): boolean {
  const { balance, config, progress, phase } = state;
  const members = membersOf(state).sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0));
  if (phase !== 'running' || config.balance === 'off' || state.takeover !== null) return false;
  if (balance.stopAfter !== null || nowMs < balance.cooldownUntilMs || members.length >= config.shards)
    return false;
  if (members.some(({ throughputs, finished }) => throughputs.length < sampleWindows || finished))
    return false;
  const paces = members.flatMap(({ throughput }) => (throughput ? [throughput] : []));
  const nowStepMs = slowestMs(
    members.map(({ shards }) => (shards ? shards.end - shards.start : 0)),
    paces,
  );
  const thenStepMs = slowestMs(assignShards(config.shards, paces), paces);
  const left = totalStepsOf(state) - progress.step - stepsAhead;
  const costMs = balance.costMs ?? assumedCostMs;
  return thenStepMs <= nowStepMs * (1 - margin) && left * (nowStepMs - thenStepMs) > worth * costMs;
}

/** A member stands at the boundary. */
export function onDrained(state: State, worker: WorkerRecord, nowMs: number): Decision {
  if (state.balance.stopAfter === null) return { state, actions: [] };
  const next: State = {
    ...withWorker(state, { ...worker, drained: true }),
    balance: { ...state.balance, drainedMs: state.balance.drainedMs ?? nowMs },
  };
  return membersOf(next).every(({ drained }) => drained) ? end(next, nowMs) : { state: next, actions: [] };
}

/** At each tick: one that was already in the next step when it heard of the boundary can't end it without the others. */
export function overdue(state: State, nowMs: number): Decision | undefined {
  const { drainedMs } = state.balance;
  if (drainedMs === null || nowMs - drainedMs < patienceBeats * state.config.heartbeatMs) return undefined;
  return end(state, nowMs);
}

function end(state: State, nowMs: number): Decision {
  const { reassignments } = state.balance;
  const rest = Math.min(maxCooldownMs, cooldownMs * 2 ** reassignments);
  const balance: Balancing = {
    ...state.balance,
    reassignments: reassignments + 1,
    cooldownUntilMs: nowMs + rest,
  };
  return reconfigure({ ...state, balance }, nowMs, 'balance');
}

/** What is said once where there is nothing to deal. */
export function balanceAdvice({ config }: State): Action[] {
  if (config.balance === 'off' || config.workers === 1 || config.shards > config.workers) return [];
  return [
    warn(
      `--balance speed: ${config.shards} shards on ${config.workers} workers can be dealt in one way only. ` +
        `Cut the batch into more, for instance with --shards ${8 * config.workers}.`,
    ),
  ];
}
