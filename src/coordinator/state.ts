/** What the coordinator knows. Plain data: the state machine in membership.ts is a function of it. */

import type { ResolvedConfig } from '../shared/config/run-config.js';
import type { ErrorCode, WireError } from '../shared/errors.js';
import type { LedgerEntry } from '../shared/ledger/entries.js';
import type { CoordinatorMessage, MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import type { Span } from '../shared/timeline/spans.js';
import type { RunEvent } from '../shared/run-events.js';
import type { ConnectionId } from '../shared/transport/transport.js';

/** gathering: waiting for joins. preparing: workers load. connecting: workers meet each other. */
export type Phase = 'gathering' | 'preparing' | 'connecting' | 'running' | 'saving' | 'done' | 'failed';

export interface WorkerRecord {
  readonly connection: ConnectionId;
  readonly join: MessageOf<WorkerMessage, 'join'>;
  readonly ready: MessageOf<WorkerMessage, 'ready'> | null;
  readonly rank: number | null;
  readonly connected: boolean;
  readonly committedStep: number;
  readonly finished: MessageOf<WorkerMessage, 'finished'> | null;
  readonly lastHeardMs: number;
  /** Progress of its main thread, and when that was last seen to grow. */
  readonly ticks: number;
  readonly tickedMs: number;
  readonly waitingFor: string;
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
}

export interface State extends RunDescription {
  readonly phase: Phase;
  readonly phaseSinceMs: number;
  readonly generation: number;
  readonly workers: ReadonlyMap<ConnectionId, WorkerRecord>;
  readonly suspicions: readonly Suspicion[];
  readonly progress: Progress;
  readonly lastBeatMs: number;
}

/** What has been reported of the run so far. */
export interface Progress {
  readonly step: number;
  readonly loss: number;
  readonly evaluations: readonly string[];
  readonly startedMs: number;
  /** Start of the interval that the next step's rate is measured over. */
  readonly markMs: number;
  readonly trainingMs: number;
  readonly samples: number;
  /** Smoothed images a second. */
  readonly rate: number;
}

export function initialState(run: RunDescription, nowMs: number): State {
  const { runId, host, config, definition, socketDirectory, out } = run;
  return {
    ...{ runId, host, config, definition, socketDirectory, out },
    phase: 'gathering',
    phaseSinceMs: nowMs,
    generation: 0,
    workers: new Map(),
    suspicions: [],
    progress: {
      ...{ step: 0, loss: Number.NaN, evaluations: [], trainingMs: 0, samples: 0, rate: 0 },
      startedMs: nowMs,
      markMs: nowMs,
    },
    lastBeatMs: nowMs,
  };
}

export type CoordinatorEvent =
  | { readonly kind: 'message'; readonly from: ConnectionId; readonly message: WorkerMessage }
  | { readonly kind: 'refused'; readonly from: ConnectionId; readonly reason: string }
  | { readonly kind: 'disconnected' }
  /** The launcher saw a worker process end. */
  | { readonly kind: 'exited'; readonly pid: number; readonly how: string }
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
export function who(worker: WorkerRecord): string {
  const rank = worker.rank === null ? 'a worker' : `rank ${worker.rank}`;
  return `${rank} (pid ${worker.join.pid} on ${worker.join.host})`;
}
