/**
 * How one membership follows another. Pure. A generation ends when a member is lost or another worker is ready to join: its
 * members stop where they are, say which step they committed last (they differ by one at most), and the next generation
 * goes on from the furthest of these. Nothing is rolled back and no sample is skipped.
 */

import { assignShards, type Throughput } from './shard-assignment.js';
import { consecutiveRanges, shardRanges } from '../shared/sharding/ranges.js';
import type { Range } from '../shared/sharding/identifiers.js';
import {
  enter,
  fail,
  membersOf,
  sendTo,
  andThen,
  warn,
  describeWorker,
  withWorker,
  workerEvent,
  type Action,
  type Decision,
  type State,
  type WorkerRecord,
} from './state.js';

/** Losses of one place within this time make the next worker of that place wait outside. */
const flapWindowMs = 60_000;
const flapLosses = 5;
/** Places whose losses are remembered. */
const mostPlaces = 4_096;
/** Generations in a row that end without a step and without a loss. */
const maxGenerationsWithoutProgress = 5;

/** Where a worker runs: the same for the process that replaces it. */
export const workerLocation = ({ join }: WorkerRecord | Pick<WorkerRecord, 'join'>): string =>
  `${join.host} ${join.slot}`;

/** A reason to refuse a worker of this place, if it was lost too often lately. */
export function flapping(state: State, place: string, nowMs: number): string | undefined {
  const recent = (state.losses.get(place) ?? []).filter((atMs) => nowMs - atMs < flapWindowMs);
  if (recent.length < flapLosses) return undefined;
  return (
    `its place (${place.trim()}) lost ${recent.length} workers within a minute. ` +
    'Look at why they end; a minute after the last of them it may come back.'
  );
}

/** Forgets what is too long ago to matter: strangers can name any number of places. */
function withLoss(losses: State['losses'], place: string, nowMs: number): State['losses'] {
  const recent = [...losses].map(
    ([at, times]) => [at, times.filter((atMs) => nowMs - atMs < flapWindowMs)] as const,
  );
  const kept = new Map(recent.filter(([, times]) => times.length > 0).slice(-mostPlaces));
  return kept.set(place, [...(kept.get(place) ?? []), nowMs]);
}

/** Takes a worker out of the run, which goes on without it. */
export function lose(
  state: State,
  worker: WorkerRecord,
  reason: string,
  nowMs: number,
  how: 'lost' | 'left' = 'lost',
): Decision {
  const workers = new Map(state.workers);
  workers.delete(worker.connection);
  const place = workerLocation(worker);
  const losses = how === 'left' ? state.losses : withLoss(state.losses, place, nowMs);
  const given = {
    code: 'PEER_LOST',
    message: `This worker is out of the run: ${reason}`.slice(0, 16_000),
  } as const;
  const without: Decision = {
    state: { ...state, workers, losses, generationsWithoutProgress: 0 },
    actions: [
      workerEvent(state, worker, how, reason),
      { kind: 'send', to: worker.connection, message: { type: 'abort', error: given } },
    ],
  };
  if (worker.rank === null) return without;
  return andThen(without, (next) => reconfigure(next, nowMs));
}

/** Lets a worker go that was told to stop. The last one that has the state writes it down first. */
export function leave(state: State, worker: WorkerRecord, nowMs: number): Decision {
  const next = withWorker(state, worker);
  const others = membersOf(next).some(({ leaving }) => !leaving);
  if (others || worker.rank === null || state.progress.step === 0 || state.out === null) {
    return lose(next, worker, `Worker left: ${describeWorker(worker)} was told to stop.`, nowMs, 'left');
  }
  return reconfigure(next, nowMs);
}

/** Those that waited only for the checkpoint. */
export function dismiss(state: State, nowMs: number): Decision {
  const start: Decision = { state: enter(state, 'reconfiguring', nowMs), actions: [] };
  return membersOf(state)
    .filter(({ leaving }) => leaving)
    .reduce(
      (decision, worker) =>
        andThen(decision, (next) =>
          lose(next, worker, `Worker left: ${describeWorker(worker)} was told to stop.`, nowMs, 'left'),
        ),
      start,
    );
}

/** Members stop; the next generation is planned when all of them have said where they stand. */
export function reconfigure(ending: State, nowMs: number, reason: State['reason'] = 'membership'): Decision {
  const state: State = { ...ending, reason };
  if (state.phase !== 'connecting' && state.phase !== 'running' && state.phase !== 'saving') {
    return planNext(state, nowMs);
  }
  const members = membersOf(state);
  const stopped = new Map(state.workers);
  for (const member of members) {
    const { connection } = member;
    stopped.set(connection, {
      ...{ ...member, connected: false, lastCommitted: null, finished: null, tickedMs: nowMs },
      ...{ sampleWindow: null, throughputs: [], drained: false },
    });
  }
  const regrouping: State = {
    ...enter(state, 'reconfiguring', nowMs),
    workers: stopped,
    suspicions: [],
    takeover: null,
    balance: { ...state.balance, stopAfter: null, drainedMs: null },
    endedMs: nowMs,
  };
  const stop: Decision = {
    state: regrouping,
    actions: sendTo(members, { type: 'stop_generation', generation: state.generation }),
  };
  return andThen(stop, (next) => planNext(next, nowMs));
}

/** A generation that ends though nobody is lost: too many of these in a row end the run. */
export function reconfigureWithoutProgress(state: State, cause: string, nowMs: number): Decision {
  const generationsWithoutProgress = state.generationsWithoutProgress + 1;
  if (generationsWithoutProgress >= maxGenerationsWithoutProgress) {
    return fail(
      state,
      { code: 'DEADLINE', message: `No progress in ${generationsWithoutProgress} generations: ${cause}` },
      1,
    );
  }
  return andThen(
    { state: { ...state, generationsWithoutProgress }, actions: [warn(`${cause} Trying again.`)] },
    (next) => reconfigure(next, nowMs),
  );
}

/** Plans the next generation if everybody it needs is there. */
export function planNext(state: State, nowMs: number): Decision {
  const { phase } = state;
  if (phase !== 'gathering' && phase !== 'reconfiguring' && phase !== 'stopping')
    return { state, actions: [] };
  const members = membersOf(state);
  if (members.some(({ lastCommitted }) => lastCommitted === null)) return { state, actions: [] };
  if (state.stopping !== null || (members.length > 0 && members.every(({ leaving }) => leaving)))
    return lastCheckpoint(state, nowMs);
  const ready = [...state.workers.values()].filter((worker) => worker.ready !== null && !worker.leaving);
  const { config, progress } = state;
  if (state.phase === 'gathering' && ready.length < config.workers) return { state, actions: [] };
  if (members.length === 0 && progress.step > 0 && !state.checkpoint) {
    return fail(
      state,
      {
        code: 'PEER_LOST',
        message: `All workers were lost, and with them the state after step ${progress.step}: there is no checkpoint.`,
      },
      1,
    );
  }
  if (ready.length < config.minWorkers) {
    if (state.waitingReported) return { state, actions: [] };
    const message = `Waiting for workers: ${ready.length} of at least ${config.minWorkers} are there (after step ${progress.step}).`;
    return { state: { ...state, waitingReported: true }, actions: [warn(message)] };
  }
  return plan(state, ready, nowMs);
}

function plan(state: State, ready: readonly WorkerRecord[], nowMs: number): Decision {
  const { config, host } = state;
  // Rank 0 writes the model: a worker on the coordinator's own host if there is one. Then those who have the state.
  const order = (worker: WorkerRecord): readonly number[] => [
    worker.rank === null ? 1 : 0,
    worker.join.host === host ? 0 : 1,
    worker.rank ?? 0,
  ];
  const sorted = [...ready].sort((a, b) => {
    const [left, right] = [order(a), order(b)];
    const place = left.findIndex((value, i) => value !== right[i]);
    return place < 0 ? 0 : (left[place] ?? 0) - (right[place] ?? 0);
  });
  // A worker without a shard has nothing to do: it stands by.
  const chosen = byHost(sorted.slice(0, config.shards));
  // Nobody has the state (any more): the checkpoint, if there is one, gives it to the first.
  const lost = chosen.every(({ lastCommitted }) => lastCommitted === null || lastCommitted === 0);
  const restore = lost ? state.checkpoint : null;
  const step = restore?.step ?? Math.max(0, ...chosen.map(({ lastCommitted }) => lastCommitted ?? 0));
  const source = restore ? 0 : chosen.findIndex(({ lastCommitted }) => (lastCommitted ?? 0) === step);
  const all = !restore && chosen.every(({ lastCommitted }) => (lastCommitted ?? 0) === step);
  const generation = state.generation + 1;
  const ranges = shardAssignment(config, chosen);
  const ranked = chosen.map((worker, rank): WorkerRecord => ({
    ...worker,
    ...{
      rank,
      shards: ranges[rank] ?? null,
      connected: false,
      finished: null,
      tickedMs: nowMs,
      waitingFor: '',
    },
  }));
  const workers = new Map<string, WorkerRecord>();
  for (const [id, worker] of state.workers) workers.set(id, { ...worker, rank: null, shards: null });
  for (const worker of ranked) workers.set(worker.connection, worker);
  const next: State = {
    ...enter(state, 'connecting', nowMs),
    // What was suspected was about other connections.
    ...{ generation, workers, suspicions: [], waitingReported: false },
  };
  const members = ranked.map(({ ready: r, join, shards }, rank) => ({
    rank,
    shards: shards ?? { start: 0, end: 0 },
    endpoint: r?.endpoint ?? '',
    publicKey: r?.publicKey,
    memory: r?.memory ?? null,
    pid: join.pid,
    host: join.host,
  }));
  const newcomers = ranked.filter(({ connection }) => state.workers.get(connection)?.rank === null);
  const { evaluated } = state.progress;
  const actions: Action[] = [
    ...newcomers.map((worker) => workerEvent(next, worker, 'joined')),
    ...ranked.map(({ rank, connection }): Action => ({
      kind: 'send',
      to: connection,
      message: {
        type: 'plan',
        plan: {
          ...{ generation, rank: rank ?? 0, shards: config.shards, workers: members },
          ...{ step, source: all ? null : source, restore: restore?.path ?? null, out: state.out },
          evaluated: { ...evaluated, splits: [...evaluated.splits] },
        },
      },
    })),
  ];
  return { state: next, actions };
}

/** Who owns which shards. By the pace of those that have been measured; a newcomer counts as one of them. */
function shardAssignment({ balance, shards }: State['config'], chosen: readonly WorkerRecord[]): Range[] {
  const known = chosen.flatMap(({ throughput }) => (throughput ? [throughput] : []));
  if (balance === 'off' || known.length === 0) return shardRanges(shards, chosen.length);
  const mean = (of: keyof Throughput): number =>
    known.reduce((sum, pace) => sum + pace[of], 0) / known.length;
  const usual: Throughput = { shardMs: mean('shardMs'), updateMs: mean('updateMs') };
  return consecutiveRanges(
    assignShards(
      shards,
      chosen.map(({ throughput }) => throughput ?? usual),
    ),
  );
}

/** Workers of one host in a row: a host's shards are one range then, of which it can combine whole subtrees. */
function byHost(workers: readonly WorkerRecord[]): WorkerRecord[] {
  const hosts = [...new Set(workers.map(({ join }) => join.host))];
  return hosts.flatMap((host) => workers.filter(({ join }) => join.host === host));
}

/** The last step that a member has committed, once all have stopped. */
export const lastCommittedStep = (state: State): number =>
  Math.max(0, ...membersOf(state).map(({ lastCommitted }) => lastCommitted ?? 0));

/** All have stopped: the one that is furthest writes the checkpoint, on the coordinator's own host if it can. */
function lastCheckpoint(state: State, nowMs: number): Decision {
  const step = lastCommittedStep(state);
  const able = membersOf(state).filter(({ lastCommitted }) => lastCommitted === step);
  const writer = able.find(({ join }) => join.host === state.host) ?? able[0];
  if (!writer || step === 0 || state.out === null) {
    return state.stopping === null ? dismiss(state, nowMs) : interrupted(state, state.stopping);
  }
  return {
    state: enter(state, 'stopping', nowMs),
    actions: sendTo([writer], { type: 'checkpoint', generation: state.generation, directory: state.out }),
  };
}

/** Exit status 130. */
export function interrupted(state: State, signal: string): Decision {
  const message = `Interrupted by ${signal} after step ${state.progress.step}.`;
  const go = state.checkpoint ? ` Go on with --resume ${state.checkpoint.path}` : '';
  return fail(state, { code: 'INTERRUPTED', message: `${message}${go}` }, 130);
}
