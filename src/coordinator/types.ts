/** The types of the coordinator's state, its events and its actions. Contains plain data only and imports types only. */

import type { CompiledFields, ResolvedConfig } from '../shared/config/run-config.js';
import type { Preprocessing } from '../shared/data/preprocessing.js';
import type { ErrorCode, WireError } from '../shared/errors.js';
import type { Fingerprint } from '../shared/identity/fingerprint.js';
import type { LedgerEntry } from '../shared/ledger/entries.js';
import type {
  CoordinatorMessage,
  DefinitionRef,
  LoadingStage,
  MessageOf,
  WorkerIdentity,
  WorkerMessage,
} from '../shared/protocol/messages.js';
import type { RunEvent } from '../shared/runs/run-events.js';
import type { Range } from '../shared/sharding/identifiers.js';
import type { Span } from '../shared/timeline/spans.js';
import type { PartTimes } from '../shared/timeline/step-parts.js';
import type { ConnectionId } from '../shared/transport/transport.js';
import type { TransferAction } from './artefacts/transfer-action.js';
import type { ComputeTimes } from './shard-assignment.js';
import type { Usage } from './usage.js';
import type { WorkerTable } from './worker-table.js';

/**
 * The phase of a run.
 *
 * - `gathering`: fewer workers are ready than the config asks for, and this coordinator has planned no generation.
 * - `connecting`: the members of a generation open their connections to each other.
 * - `running`: the members train.
 * - `saving`: all members have finished, and the writer of the generation saves the model.
 * - `reconfiguring`: the last generation has ended, its members stop, and the next generation is planned.
 * - `stopping`: the run was interrupted or its last member leaves, and a member writes the last checkpoint.
 * - `done`, `failed`: the run is over.
 */
export type Phase =
  'gathering' | 'connecting' | 'running' | 'saving' | 'reconfiguring' | 'stopping' | 'done' | 'failed';

/** The properties that all members of a generation have. */
interface Membership {
  readonly ready: ReadyMessage;
  /** Rank in the current generation. Between two generations, this is the rank in the last generation. */
  readonly rank: number;
  /** Shards owned in that generation; null if the previous coordinator assigned them. */
  readonly shards: Range | null;
}

/** The states of a member of the current generation. Between two generations, these are the states of a member of the last generation. */
export type MemberLifecycle = Membership &
  (
    | { readonly state: 'connecting' }
    /** `sharesMemory`: all other members share memory with this worker. */
    | { readonly state: 'connected'; readonly sharesMemory: boolean }
    | { readonly state: 'running' }
    /** The worker has committed the last step before a rebalance and waits for the end of its generation. */
    | { readonly state: 'drained' }
    | { readonly state: 'finished'; readonly result: MessageOf<WorkerMessage, 'finished'> }
    /** `leaving`: the worker leaves the run once the last checkpoint is written. */
    | { readonly state: 'stopping'; readonly leaving: boolean }
    | { readonly state: 'stopped'; readonly leaving: boolean; readonly lastCommitted: number }
  );

/** The state of a worker as the coordinator records it; see transitions.ts. */
export type Lifecycle =
  | {
      readonly state: 'loading';
      readonly joinedMs: number;
      readonly stage: LoadingStage;
      /** Path of the lock of another process that installs the engine, in stage `installation`. */
      readonly lock: string | null;
      readonly stageSinceMs: number;
    }
  /** Ready, but without a rank. */
  | { readonly state: 'standby'; readonly ready: ReadyMessage }
  | MemberLifecycle;

export type WorkerState = Lifecycle['state'];
export type ReadyMessage = MessageOf<WorkerMessage, 'ready'>;

export interface WorkerRecord<L extends Lifecycle = Lifecycle> {
  readonly connection: ConnectionId;
  readonly join: MessageOf<WorkerMessage, 'join'>;
  readonly lifecycle: L;
  /** Time of the last message; before `ready`, the time of `join`. */
  readonly lastHeardMs: number;
  readonly activity: Activity;
  /** The last step that the worker reported as committed. */
  readonly committedStep: number;
  /** Measurements of the current generation; see balance.ts. */
  readonly samples: Samples;
  /** Medians of the measured times, kept across generations; null until measured. */
  readonly computeTimes: ComputeTimes | null;
  /** Sums over the steps committed since the last status event; null if there are none. */
  readonly recent: { readonly steps: number; readonly times: PartTimes } | null;
  /** CPU and memory of the worker's process; null before its first heartbeat. */
  readonly usage: Usage | null;
}

export type Member = WorkerRecord<MemberLifecycle>;

/** Progress of a worker, from its heartbeats. */
export interface Activity {
  /** Progress of the main thread plus the number of frames that the worker has received. */
  readonly ticks: number;
  /** The time at which `ticks` last changed. */
  readonly tickedMs: number;
  /** The collective that blocks the main thread; empty if it is not blocked. */
  readonly waitingFor: string;
}

/** Sums over the steps of one sample window of one worker. */
export interface SampleWindow {
  readonly sinceMs: number;
  readonly steps: number;
  readonly shardsMs: number;
  readonly updateMs: number;
}

export interface Samples {
  /** The sample window in progress; null before the first step. */
  readonly window: SampleWindow | null;
  /** The compute times in each of the last complete sample windows. */
  readonly measuredTimes: readonly ComputeTimes[];
}

/** A broken connection. At `untilMs` the coordinator decides which worker is lost, if any; see liveness.ts. */
export interface Suspicion {
  /** The rank at the other end of the connection; null if unknown. */
  readonly rank: number | null;
  /** The rank that reported the break; null if the coordinator noticed it. */
  readonly reporter: number | null;
  readonly untilMs: number;
}

/** The constants of a run. */
export interface RunDescription {
  readonly runId: string;
  /** The coordinator's host. */
  readonly host: string;
  readonly config: ResolvedConfig;
  readonly definition: DefinitionRef;
  /** The coordinator's own fingerprint, with which workers are compared while none is ready. */
  readonly fingerprint: Partial<Fingerprint>;
  /** Folder for the data plane's sockets; null: TCP. */
  readonly socketDirectory: string | null;
  /** Folder of the run, made by the caller; null: nothing is saved. */
  readonly out: string | null;
  /** The proof by which a worker finds out whether it shares `out`; null or absent if `out` is null. */
  readonly folder?: MessageOf<CoordinatorMessage, 'welcome'>['folder'];
  /** The checkpoint that the run resumes from. */
  readonly resume: ResumeCheckpoint | null;
  /** State inherited from the previous coordinator; null for the first one. */
  readonly inherited: InheritedState | null;
}

/** The part of a run's state that a new coordinator reads from the events of the previous one. */
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
  /** Identity of the workers that wrote the checkpoint; null if the checkpoint does not contain it. */
  readonly identity: WorkerIdentity | null;
  /** Code and engine that wrote the checkpoint; null if the checkpoint does not contain it. */
  readonly build: Pick<Fingerprint, 'code' | 'engine'> | null;
  readonly dataSha256: string;
  /** The data that the checkpoint was trained on; null if the checkpoint does not contain it. */
  readonly data: { readonly name: string; readonly trainCount: number; readonly testCount: number } | null;
  /** The conversion of files to inputs with which it was trained. */
  readonly preprocessing: Preprocessing | null;
  /** The optimizer, schedule, loss and metrics of the checkpoint, and whether the definition's `model.compile` chose them. */
  readonly trained: { readonly fields: CompiledFields; readonly isCompiled: boolean };
}

export interface State extends RunDescription {
  readonly phase: Phase;
  readonly phaseSinceMs: number;
  /** Number of the current generation, or of the last one; 0 before the first. */
  readonly generation: number;
  readonly workers: WorkerTable<WorkerRecord>;
  /** The `ready` message of a worker that has trained. A worker is compared with it if no other worker is ready; null: none has trained. */
  readonly trained: ReadyMessage | null;
  readonly progress: Progress;
  /** The newest checkpoint, from which the run continues if all workers are lost. */
  readonly checkpoint: CheckpointRef | null;
  readonly reconfiguration: Reconfiguration;
  readonly takeover: Takeover;
  readonly liveness: Liveness;
  readonly balance: Balancing;
  /** Workers that leave when another member has reported their newest step (stop-request.ts). */
  readonly deferredLeaves: ReadonlySet<ConnectionId>;
  /** The signal that interrupted the run; null: none. */
  readonly interruptedBy: string | null;
  readonly reporting: Reporting;
}

/** The change from one generation to the next. */
export interface Reconfiguration {
  /** The reason for the change. */
  readonly reason: 'membership' | 'balance';
  /** The time at which the last generation ended. */
  readonly sinceMs: number;
  /** Number of generations that a stall or a broken link has ended at the present step. A committed step or a removal sets it to 0. */
  readonly failedAttempts: number;
}

/** The takeover of a run from another coordinator. */
export interface Takeover {
  /**
   * Null if no takeover waits for members. Otherwise `worldSize` is the number of members of the newest generation: each `rejoin` reports a
   * generation and its number of members. `sinceMs` is the time of the first `rejoin`.
   */
  readonly pending: { readonly worldSize: number; readonly sinceMs: number } | null;
  /** Connections to which `identify` was sent. It is sent once per connection, because its answer can consist of thousands of messages. */
  readonly identified: ReadonlySet<ConnectionId>;
}

/** The record of failures. */
export interface Liveness {
  readonly suspicions: readonly Suspicion[];
  /** Times of recent losses by worker location. */
  readonly losses: ReadonlyMap<string, readonly number[]>;
  /** The time at which the coordinator last sent heartbeats. */
  readonly heartbeatMs: number;
}

/** The state of `--balance speed`; see balance.ts. */
export interface Balancing {
  /** The step after which the members drain; null if they do not drain. */
  readonly stopAfter: number | null;
  /** The time of the first `drained`; null: no member has drained. */
  readonly drainedMs: number | null;
  /** Number of members of the current generation that lack complete sample windows. */
  readonly unmeasuredMembers: number;
  /** The time from which the shard assignment is evaluated again, one sample window after the last evaluation. */
  readonly nextEvaluationMs: number;
  /** Number of rebalances in this run. */
  readonly reassignments: number;
  /** The time before which the shards are not rebalanced again. */
  readonly cooldownUntilMs: number;
  /** Duration of the last reconfiguration; null until measured. */
  readonly costMs: number | null;
}

/** The warnings, refusals and status events that have been reported. */
export interface Reporting {
  /** The warning that workers are missing has been emitted. */
  readonly waitingReported: boolean;
  /** The time of the last status event. */
  readonly statusMs: number;
  /** Number of refused messages. */
  readonly refused: number;
  /** Kinds of refusals for which a warning has been emitted. */
  readonly refusedKinds: ReadonlySet<string>;
}

/** The part of the run that has been reported as events. */
export interface Progress {
  readonly started: boolean;
  readonly step: number;
  /** Loss of that step; null if another coordinator received it. */
  readonly loss: number | null;
  /** The last step with an evaluation, and the evaluated splits. */
  readonly evaluated: { readonly step: number; readonly splits: readonly ('train' | 'test')[] };
  readonly startedMs: number;
  /** Start of the interval over which the rate of the next step is measured. */
  readonly markMs: number;
  /** The next step is the first one of its generation. Before it the members may share their training state. */
  readonly firstOfGeneration: boolean;
  readonly trainingMs: number;
  readonly samples: number;
  /** Smoothed images per second. */
  readonly rate: number;
}

export type Action =
  | { readonly kind: 'send'; readonly to: ConnectionId; readonly message: CoordinatorMessage }
  | { readonly kind: 'emit'; readonly event: RunEvent }
  | { readonly kind: 'record'; readonly entries: readonly LedgerEntry[] }
  | { readonly kind: 'trace'; readonly rank: number; readonly spans: readonly Span[] }
  | TransferAction
  /** The run is over; the process exits with this status after all sends. */
  | { readonly kind: 'end'; readonly status: number };

export interface Decision {
  readonly state: State;
  readonly actions: readonly Action[];
}

export type Failure = WireError & { readonly code: ErrorCode | 'INVARIANT' };
