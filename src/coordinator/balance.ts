/**
 * `--balance speed`: decides when to rebalance the shards, from the times that each worker reports. Pure. The next generation's
 * plan contains the assignment itself (plan.ts).
 *
 * A rebalance changes no bit of the result. The coordinator asks the members to stop after a later step (`stepsAhead`). They usually
 * receive this request before they reach that step, and then no step is aborted. A rebalance must be worth its cost, and the assignment
 * must not oscillate. Therefore medians over several sample windows are compared, the gain must exceed a margin and a multiple of the cost,
 * and a cooldown follows each rebalance.
 */

import { median } from '../shared/arithmetic/quantile.js';
import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import { totalOf, waitingOf } from '../shared/timeline/step-parts.js';
import { noActions, sendTo, warn } from './actions.js';
import { reconfigure } from './reconfigure.js';
import { assignShards, slowestMs, type ComputeTimes } from './shard-assignment.js';
import { totalStepsOf } from './start-generation.js';
import { moveTo } from './transitions.js';
import type { Action, Decision, Member, SampleWindow, State, WorkerRecord } from './types.js';
import { allMembersAre, isMember, rankedMembers, withWorker } from './workers.js';

/** Shortest sample window. It is longer than the scheduling period of an operating system or of a container's CPU quota. */
export const sampleWindowMs = 250;
/** Number of sample windows of which the median is taken. */
export const sampleWindows = 9;
/** Smallest relative reduction of the slowest worker's time that justifies a rebalance. */
const margin = 0.1;
/** The time saved until the end of the run must be more than this multiple of the cost of a new generation. */
const minGainPerCost = 4;
/** Cost of a new generation until it has been measured. */
const assumedCostMs = 500;
/** Cooldown after the first rebalance; doubles after each rebalance up to `maxCooldownMs`. */
const cooldownMs = 10_000;
const maxCooldownMs = 120_000;
/** The members stop this many steps after the last committed one. The first of these steps can be in flight already. */
const stepsAhead = 2;
/**
 * Number of heartbeats from the first `drained` to the end of the generation. A member that received `drain` too late has started a
 * step that the others do not take, and the end of the generation aborts this step.
 */
const patienceBeats = 4;

/** Adds the times of a committed step to the measurements of a member in the current generation. */
export function withComputeTimes(
  worker: WorkerRecord,
  { times }: MessageOf<WorkerMessage, 'committed'>,
  nowMs: number,
): WorkerRecord {
  const shards = isMember(worker) ? worker.lifecycle.shards : null;
  if (!times || !shards) return worker;
  const { samples } = worker;
  const last = samples.window ?? emptyWindow(nowMs);
  const window: SampleWindow = {
    sinceMs: last.sinceMs,
    steps: last.steps + 1,
    shardsMs: last.shardsMs + totalOf(times) - waitingOf(times) - times.update,
    updateMs: last.updateMs + times.update,
  };
  if (nowMs - window.sinceMs < sampleWindowMs) return { ...worker, samples: { ...samples, window } };
  const computeTimes: ComputeTimes = {
    shardMs: window.shardsMs / (window.steps * (shards.end - shards.start)),
    updateMs: window.updateMs / window.steps,
  };
  const measuredTimes = [...samples.measuredTimes, computeTimes].slice(-sampleWindows);
  return {
    ...worker,
    samples: { window: emptyWindow(nowMs), measuredTimes },
    computeTimes: measuredTimes.length < sampleWindows ? worker.computeTimes : medianOf(measuredTimes),
  };
}

const emptyWindow = (sinceMs: number): SampleWindow => ({ sinceMs, steps: 0, shardsMs: 0, updateMs: 0 });

function medianOf(measuredTimes: readonly ComputeTimes[]): ComputeTimes {
  return {
    shardMs: median(measuredTimes.map(({ shardMs }) => shardMs)),
    updateMs: median(measuredTimes.map(({ updateMs }) => updateMs)),
  };
}

const isMeasured = ({ samples }: WorkerRecord): boolean => samples.measuredTimes.length >= sampleWindows;

/** Replaces a worker's record after a committed step, and counts the members that lack measurements. */
export function withMeasurement(state: State, before: WorkerRecord, after: WorkerRecord): State {
  const next = withWorker(state, after);
  if (isMeasured(before) || !isMeasured(after)) return next;
  return { ...next, balance: { ...next.balance, unmeasuredMembers: next.balance.unmeasuredMembers - 1 } };
}

/**
 * Asks the members to stop at a step boundary if a rebalance is worth its cost. Called after each committed step. Visits the members at
 * most once per sample window, and only if all of them have been measured.
 */
export function rebalanceIfWorthwhile(state: State, nowMs: number): Decision {
  const { balance, config, phase, takeover } = state;
  if (phase !== 'running' || config.balance === 'off' || takeover.pending !== null) return noActions(state);
  if (balance.stopAfter !== null || balance.unmeasuredMembers > 0) return noActions(state);
  if (nowMs < Math.max(balance.cooldownUntilMs, balance.nextEvaluationMs)) return noActions(state);
  const members = rankedMembers(state);
  if (!isWorthwhile(state, members))
    return noActions({ ...state, balance: { ...balance, nextEvaluationMs: nowMs + sampleWindowMs } });
  const stopAfter = state.progress.step + stepsAhead;
  return {
    state: { ...state, balance: { ...balance, stopAfter, drainedMs: null } },
    actions: sendTo(members, { type: 'drain', generation: state.generation, after: stopAfter }),
  };
}

/** Compares the slowest worker's time of the current and of the best assignment. `members` is in order of rank. */
function isWorthwhile(state: State, members: readonly Member[]): boolean {
  const { balance, config, progress } = state;
  const [first] = members;
  if (!first || members.length >= config.shards) return false;
  if (members.some(({ lifecycle }) => lifecycle.state === 'finished')) return false;
  const measuredTimes = members.flatMap(({ computeTimes }) => (computeTimes ? [computeTimes] : []));
  const counts = members.map(({ lifecycle: { shards } }) => (shards ? shards.end - shards.start : 0));
  const currentMs = slowestMs(counts, measuredTimes);
  const bestMs = slowestMs(assignShards(config.shards, measuredTimes), measuredTimes);
  const stepsLeft = totalStepsOf(state, first) - progress.step - stepsAhead;
  const costMs = balance.costMs ?? assumedCostMs;
  return bestMs <= currentMs * (1 - margin) && stepsLeft * (currentMs - bestMs) > minGainPerCost * costMs;
}

/** Records that a member has drained. The generation ends when all members have drained. */
export function onDrained(state: State, worker: WorkerRecord, nowMs: number): Decision {
  const { balance } = state;
  if (balance.stopAfter === null || worker.lifecycle.state !== 'running') return noActions(state);
  const { ready, rank, shards } = worker.lifecycle;
  const next: State = {
    ...withWorker(state, moveTo(worker, { state: 'drained', ready, rank, shards })),
    balance: { ...balance, drainedMs: balance.drainedMs ?? nowMs },
  };
  return allMembersAre(next, 'drained') ? rebalance(next, nowMs) : noActions(next);
}

/** Called at each timer event. Ends the generation if a member has not drained in time. */
export function drainOverdue(state: State, nowMs: number): Decision | undefined {
  const { drainedMs } = state.balance;
  if (drainedMs === null || nowMs - drainedMs < patienceBeats * state.config.heartbeatMs) return undefined;
  return rebalance(state, nowMs);
}

function rebalance(state: State, nowMs: number): Decision {
  const { reassignments } = state.balance;
  const balance: State['balance'] = {
    ...state.balance,
    reassignments: reassignments + 1,
    cooldownUntilMs: nowMs + Math.min(maxCooldownMs, cooldownMs * 2 ** reassignments),
  };
  return reconfigure({ ...state, balance }, nowMs, 'balance');
}

/** The warning, at the start of a run, that there is nothing to balance. */
export function balanceAdvice({ config }: State): Action[] {
  if (config.balance === 'off' || config.workers === 1 || config.shards > config.workers) return [];
  return [
    warn(
      `--balance speed has no effect: ${config.shards} shards on ${config.workers} workers can be assigned in one way only. ` +
        `Divide the batch into more shards, for instance with --shards ${8 * config.workers}.`,
    ),
  ];
}
