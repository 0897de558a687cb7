/** The plan of the next generation: its members, their ranks and shards, and the source of the training state. Pure. */

import { invariant } from '../shared/errors.js';
import type { CommonPlan, CoordinatorMessage } from '../shared/protocol/messages.js';
import type { Range } from '../shared/sharding/identifiers.js';
import { consecutiveRanges, shardRanges } from '../shared/sharding/ranges.js';
import { sendTo, workerEvent } from './actions.js';
import { assignShards, type ComputeTimes } from './shard-assignment.js';
import { enter, moveTo } from './transitions.js';
import type { CheckpointRef, Decision, Member, ReadyMessage, State, WorkerRecord } from './types.js';
import { isMember, lastCommittedOf, rankOf, readyOf, writerOf } from './workers.js';

/** Plans a generation of these workers, all of which are ready. Cost: one message of size O(members), which is encoded once and sent to each member. */
export function planGeneration(state: State, candidates: readonly WorkerRecord[], nowMs: number): Decision {
  const { config } = state;
  // Workers beyond the number of shards stand by.
  const chosen = groupByHost([...candidates].sort(candidateOrder(state.host)).slice(0, config.shards));
  const writer = writerOf(chosen);
  const start = stateSource(state, chosen, writer);
  const ranges = shardAssignment(config, chosen);
  const members = chosen.map((worker, rank) => {
    const member = moveTo(worker, {
      state: 'connecting',
      ready: requireReady(worker),
      rank,
      shards: ranges[rank] ?? null,
    });
    return { ...member, activity: { ...worker.activity, tickedMs: nowMs, waitingFor: '' } };
  });
  const planned = new Map(members.map((member) => [member.connection, member]));
  const next: State = {
    ...enter(state, 'connecting', nowMs),
    generation: state.generation + 1,
    workers: state.workers.map((worker) => planned.get(worker.connection) ?? unplanned(worker)),
    // Suspicions concern the connections of the last generation, which are closed.
    liveness: { ...state.liveness, suspicions: [] },
    reporting: { ...state.reporting, waitingReported: false },
  };
  const newcomers = chosen.flatMap((worker, rank) => (isMember(worker) ? [] : (members[rank] ?? [])));
  const message = planMessage(next, members, start, writer);
  return {
    state: next,
    actions: [...newcomers.map((worker) => workerEvent(next, worker, 'joined')), ...sendTo(members, message)],
  };
}

function requireReady(worker: WorkerRecord): ReadyMessage {
  const ready = readyOf(worker);
  invariant(ready, 'a planned worker is ready');
  return ready;
}

/** A worker that has no rank in the next generation. */
function unplanned(worker: WorkerRecord): WorkerRecord {
  return isMember(worker) ? moveTo(worker, { state: 'standby', ready: worker.lifecycle.ready }) : worker;
}

/**
 * The order in which workers are chosen; `groupByHost` then gives the chosen ones consecutive ranks on each host. Members precede new
 * workers, because members have the training state. Among the members, and among the new workers, those of the coordinator's host come
 * first: if no worker shares the run's folder, rank 0 sends the files to the coordinator.
 */
function candidateOrder(host: string): (a: WorkerRecord, b: WorkerRecord) => number {
  const keys = (worker: WorkerRecord): readonly [number, number, number] => [
    isMember(worker) ? 0 : 1,
    worker.join.host === host ? 0 : 1,
    rankOf(worker) ?? 0,
  ];
  return (a, b) => {
    const [left, right] = [keys(a), keys(b)];
    return left[0] - right[0] || left[1] - right[1] || left[2] - right[2];
  };
}

/** Makes the workers of a host adjacent, so that the shards of a host form one range. */
function groupByHost(workers: readonly WorkerRecord[]): WorkerRecord[] {
  const hosts = [...new Set(workers.map(({ join }) => join.host))];
  return hosts.flatMap((host) => workers.filter(({ join }) => join.host === host));
}

/** The state from which the next generation continues. */
interface StateSource {
  /** The step after which training continues. */
  readonly step: number;
  /** The rank that broadcasts its state to the others; null if all members have this state. */
  readonly source: number | null;
  /** The checkpoint that `source` restores first; null if no checkpoint is needed. */
  readonly restore: CheckpointRef | null;
}

function stateSource(state: State, chosen: readonly WorkerRecord[], writer: number): StateSource {
  const steps = chosen.map((worker) => lastCommittedOf(worker) ?? 0);
  const step = Math.max(0, ...steps);
  // If no worker has a state, one restores the checkpoint and shares it. A worker that shares the run's folder need not fetch it.
  if (step === 0 && state.checkpoint)
    return { step: state.checkpoint.step, source: writer, restore: state.checkpoint };
  const complete = steps.every((each) => each === step);
  return { step, source: complete ? null : steps.indexOf(step), restore: null };
}

/**
 * Assigns the shards by compute times. A worker without measurements is assumed to have the mean times of the others. Without `--balance
 * speed`, or if no worker has measurements, the shards are assigned evenly.
 */
function shardAssignment({ balance, shards }: State['config'], chosen: readonly WorkerRecord[]): Range[] {
  const known = chosen.flatMap(({ computeTimes }) => (computeTimes ? [computeTimes] : []));
  if (balance === 'off' || known.length === 0) return shardRanges(shards, chosen.length);
  const mean = (field: keyof ComputeTimes): number =>
    known.reduce((sum, computeTimes) => sum + computeTimes[field], 0) / known.length;
  const assumed: ComputeTimes = { shardMs: mean('shardMs'), updateMs: mean('updateMs') };
  return consecutiveRanges(
    assignShards(
      shards,
      chosen.map(({ computeTimes }) => computeTimes ?? assumed),
    ),
  );
}

function planMessage(
  { generation, config, out, progress }: State,
  members: readonly Member[],
  { step, source, restore }: StateSource,
  writer: number,
): CoordinatorMessage {
  const workers: CommonPlan['workers'] = members.map(({ join, lifecycle: { rank, ready, shards } }) => ({
    rank,
    shards: shards ?? { start: 0, end: 0 },
    endpoint: ready.endpoint,
    publicKey: ready.publicKey,
    memory: ready.memory,
    pid: join.pid,
    host: join.host,
  }));
  const evaluated = { step: progress.evaluated.step, splits: [...progress.evaluated.splits] };
  return {
    type: 'plan',
    plan: {
      generation,
      memberIds: members.map(({ join }) => join.workerId),
      shards: config.shards,
      workers,
      step,
      source,
      restore: restore?.path ?? null,
      out,
      writer,
      evaluated,
    },
  };
}
