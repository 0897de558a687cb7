/** What the coordinator knows. Plain data: the state machine in membership.ts is a function of it. */

import type { ResolvedConfig } from '../shared/config/run-config.js';
import type { ErrorCode, WireError } from '../shared/errors.js';
import type { LedgerEntry } from '../shared/ledger/entries.js';
import type {
  CoordinatorMessage,
  MessageOf,
  WorkerIdentity,
  WorkerMessage,
} from '../shared/protocol/messages.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import type { Throughput } from './shard-assignment.js';
import type { Span } from '../shared/timeline/spans.js';
import type { PartTimes } from '../shared/timeline/step-parts.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import type { Range } from '../shared/sharding/identifiers.js';

/**
 * gathering: until as many workers as the config says are ready. connecting: a generation's members meet each other.
 * running, saving: as they say. regrouping: a generation has ended; its members stop, and the next one is planned.
 * stopping: the run was interrupted, and a member writes the last checkpoint.
 */
export type Phase =
  'gathering' | 'connecting' | 'running' | 'saving' | 'reconfiguring' | 'stopping' | 'done' | 'failed';

export interface WorkerRecord {
  readonly connection: ConnectionId;
  readonly join: MessageOf<WorkerMessage, 'join'>;
  readonly ready: MessageOf<WorkerMessage, 'ready'> | null;
  /** Its rank in the current generation, or in the one that ended last; null: it was not a member. */
  readonly rank: number | null;
  readonly connected: boolean;
  /** The shards that it owns in that generation; null as well when another coordinator dealt them. */
  readonly shards: Range | null;
  /** Whether all others share memory with it; known once it is connected. */
  readonly sharing: boolean;
  /** After the end of a generation: the last step that it committed. */
  readonly lastCommitted: number | null;
  /** Was told to stop; stays as long as the run needs it. */
  readonly leaving: boolean;
  readonly committedStep: number;
  /** The steps of the current generation that are measured together, and the last of such stretches; see balance.ts. */
  readonly sampleWindow: SampleWindow | null;
  readonly throughputs: readonly Throughput[];
  /** What has been typical of it. */
  readonly throughput: Throughput | null;
  /** Stands at the boundary after which its generation is to end. */
  readonly drained: boolean;
  readonly finished: MessageOf<WorkerMessage, 'finished'> | null;
  readonly lastHeardMs: number;
  /** Progress of its main thread, and when that was last seen to grow. */
  readonly ticks: number;
  readonly tickedMs: number;
  readonly waitingFor: string;
  /** Sums over the steps that it has committed since the last status; null: there was none. */
  readonly recent: { readonly steps: number; readonly times: PartTimes } | null;
}

/** A connection broke: whoever doesn't speak before `untilMs` is lost. */
export interface Suspicion {
  readonly rank: number | null;
  readonly reporter: number | null;
  readonly untilMs: number;
}

/** What is fixed for the whole run. */
export interface RunDescription {
  readonly runId: string;
  /** The coordinator's host. */
  readonly host: string;
  readonly config: ResolvedConfig;
  readonly definition: { readonly path: string; readonly sha256: string };
  readonly socketDirectory: string | null;
  /** Folder of the run, made by the caller; null: nothing is saved. */
  readonly out: string | null;
  /** The checkpoint that the run goes on from. */
  readonly resume: ResumeCheckpoint | null;
  /** Of a successor: what its predecessor passed on; null: this is the run's first coordinator. */
  readonly inherited: InheritedState | null;
}

/** What of a run is known already, from its events. */
export interface InheritedState {
  readonly runId: string;
  readonly step: number;
  readonly evaluated: Progress['evaluated'];
  readonly checkpoint: CheckpointRef | null;
}

export interface CheckpointRef {
  readonly path: string;
  readonly step: number;
}

export interface ResumeCheckpoint extends CheckpointRef {
  /** Of the workers that wrote it; null where it doesn't say. */
  readonly identity: WorkerIdentity | null;
}

export interface State extends RunDescription {
  readonly phase: Phase;
  readonly phaseSinceMs: number;
  readonly generation: number;
  readonly workers: ReadonlyMap<ConnectionId, WorkerRecord>;
  readonly suspicions: readonly Suspicion[];
  readonly progress: Progress;
  readonly lastBeatMs: number;
  /** When the generation ended that is being replaced. */
  readonly endedMs: number;
  /** Generations that ended one after the other without a step between them, and without a loss to explain it. */
  readonly generationsWithoutProgress: number;
  /** When workers of one place (host and slot) were lost lately. */
  readonly losses: ReadonlyMap<string, readonly number[]>;
  /** The newest checkpoint that can be gone on from when all workers are lost. */
  readonly checkpoint: CheckpointRef | null;
  /** Members of a generation that another coordinator led, as far as they have come; null: none. */
  readonly takeover: { readonly worldSize: number; readonly sinceMs: number } | null;
  /** Connections that were asked who they are. Each answers with thousands of reports, so it is asked once. */
  readonly asked: ReadonlySet<ConnectionId>;
  /** Why the current generation follows the one before. */
  readonly reason: 'membership' | 'balance';
  readonly balance: Balancing;
  /** The signal that is to end the run. */
  readonly stopping: string | null;
  /** A message that waits for workers has been given. */
  readonly waitingReported: boolean;
  /** When the last status was given. */
  readonly statusMs: number;
  readonly refused: number;
  /** Reasons of refusals that have been said. */
  readonly refusedKinds: ReadonlySet<string>;
}

/** Sums over some steps of one worker. */
export interface SampleWindow {
  readonly sinceMs: number;
  readonly steps: number;
  readonly shardsMs: number;
  readonly updateMs: number;
}

/** Of `--balance speed`; see balance.ts. */
export interface Balancing {
  /** The members are to stop after this step; null: they aren't. When the first of them did. */
  readonly stopAfter: number | null;
  readonly drainedMs: number | null;
  /** Dealings anew so far, and until when there is no other. */
  readonly reassignments: number;
  readonly cooldownUntilMs: number;
  /** From the end of a generation to the next, the last time; null: never measured. */
  readonly costMs: number | null;
}

/** What has been reported of the run so far. */
export interface Progress {
  readonly started: boolean;
  readonly step: number;
  /** Of that step; null: another coordinator got it. */
  readonly loss: number | null;
  /** The last step after which was evaluated, and on which splits. */
  readonly evaluated: { readonly step: number; readonly splits: readonly ('train' | 'test')[] };
  readonly startedMs: number;
  /** Start of the interval that the next step's rate is measured over. */
  readonly markMs: number;
  readonly trainingMs: number;
  readonly samples: number;
  /** Smoothed images a second. */
  readonly rate: number;
}

export function initialState(run: RunDescription, nowMs: number): State {
  const { runId, host, config, definition, socketDirectory, out, resume, inherited } = run;
  return {
    ...{ runId, host, config, definition, socketDirectory, out, resume, inherited },
    phase: 'gathering',
    phaseSinceMs: nowMs,
    generation: 0,
    workers: new Map(),
    suspicions: [],
    progress: {
      ...{
        started: inherited !== null && inherited.step > 0,
        step: inherited?.step ?? resume?.step ?? 0,
        loss: null,
        evaluated: inherited?.evaluated ?? { step: 0, splits: [] },
      },
      ...{ trainingMs: 0, samples: 0, rate: 0 },
      startedMs: nowMs,
      markMs: nowMs,
    },
    lastBeatMs: nowMs,
    endedMs: nowMs,
    generationsWithoutProgress: 0,
    losses: new Map(),
    checkpoint: inherited?.checkpoint ?? resume,
    takeover: null,
    asked: new Set(),
    reason: 'membership',
    balance: { stopAfter: null, drainedMs: null, reassignments: 0, cooldownUntilMs: nowMs, costMs: null },
    stopping: null,
    waitingReported: false,
    statusMs: nowMs,
    refused: 0,
    refusedKinds: new Set(),
  };
}

export type CoordinatorEvent =
  | { readonly kind: 'message'; readonly from: ConnectionId; readonly message: WorkerMessage }
  | { readonly kind: 'refused'; readonly from: ConnectionId; readonly reason: string; readonly count: number }
  | { readonly kind: 'disconnected' }
  /** The launcher saw a worker process end; `final`: it will not start another in its place. */
  | { readonly kind: 'exited'; readonly pid: number; readonly how: string; readonly final: boolean }
  | { readonly kind: 'interrupt'; readonly signal: string }
  | { readonly kind: 'tick' };

export type Action =
  | { readonly kind: 'send'; readonly to: ConnectionId; readonly message: CoordinatorMessage }
  | { readonly kind: 'emit'; readonly event: RunEvent }
  | { readonly kind: 'record'; readonly entries: readonly LedgerEntry[] }
  | { readonly kind: 'trace'; readonly rank: number; readonly spans: readonly Span[] }
  /** The run is over; exit with this status once everything has been sent. */
  | { readonly kind: 'end'; readonly status: number };

export interface Decision {
  readonly state: State;
  readonly actions: readonly Action[];
}

export type Failure = WireError & { readonly code: ErrorCode | 'INVARIANT' };

/** `rank 1 (pid 4242 on box)`. */
export function describeWorker(worker: WorkerRecord): string {
  const rank = worker.rank === null ? 'a worker' : `rank ${worker.rank}`;
  return `${rank} (pid ${worker.join.pid} on ${worker.join.host})`;
}

export const emit = (event: RunEvent): Action => ({ kind: 'emit', event });

export const warn = (message: string): Action => emit({ event: 'warning', message });

export function enter(state: State, phase: Phase, nowMs: number): State {
  return { ...state, phase, phaseSinceMs: nowMs };
}

export function withWorker(state: State, worker: WorkerRecord): State {
  return { ...state, workers: new Map(state.workers).set(worker.connection, worker) };
}

/** Those of the current generation, or of the one that ended last. */
export function membersOf(state: State): WorkerRecord[] {
  return [...state.workers.values()].filter(({ rank }) => rank !== null);
}

export function sendTo(workers: Iterable<WorkerRecord>, message: CoordinatorMessage): Action[] {
  return [...workers].map(({ connection }) => ({ kind: 'send', to: connection, message }));
}

/** A worker of which nothing is known but that it joined. */
export function newWorker(connection: ConnectionId, join: WorkerRecord['join'], nowMs: number): WorkerRecord {
  return {
    ...{ connection, join, ready: null, rank: null, shards: null, connected: false, sharing: false },
    ...{
      lastCommitted: null,
      leaving: false,
      committedStep: 0,
      sampleWindow: null,
      throughputs: [],
      throughput: null,
      drained: false,
    },
    ...{ finished: null, lastHeardMs: nowMs, ticks: 0, tickedMs: nowMs, waitingFor: '', recent: null },
  };
}

/** First one, then the other. Not named `then`, which would make the module a thenable. */
export function andThen(first: Decision, next: (state: State) => Decision): Decision {
  const second = next(first.state);
  return { state: second.state, actions: [...first.actions, ...second.actions] };
}

/** The event of a worker that came or went. */
export function workerEvent(
  state: State,
  worker: WorkerRecord,
  what: 'joined' | 'lost' | 'left',
  reason?: string,
): Action {
  return emit({
    event: 'worker',
    state: what,
    rank: worker.rank,
    pid: worker.join.pid,
    host: worker.join.host,
    device: worker.ready?.device ?? '',
    engine: worker.ready?.engine ?? '',
    generation: state.generation,
    ...(reason === undefined ? {} : { reason }),
  });
}

/** Ends the run: everyone is told why, once. */
export function fail(state: State, failure: Failure, status: number): Decision {
  const error = { code: failure.code, message: failure.message.slice(0, 16_000) };
  return {
    state: { ...state, phase: 'failed' },
    actions: [
      emit({ event: 'error', code: failure.code, message: failure.message }),
      ...sendTo(state.workers.values(), { type: 'abort', error }),
      { kind: 'end', status },
    ],
  };
}
