/**
 * The main thread's view of everybody else. Two implementations: `thread-communicator.ts` (a communicator thread that
 * owns ZeroMQ) and `inline-communicator.ts` (one process, no sockets). The training code can't tell them apart.
 */

import type { ExchangeSpec } from '../../shared/collectives/exchange.js';
import type { Vector } from '../../shared/collectives/reduction.js';
import type { CoordinatorMessage, Plan, WorkerMessage } from '../../shared/protocol/messages.js';

/** A registered all-reduce over shards. One use at a time: fill the inputs, start, wait, read the output. */
export interface ExchangeHandle {
  readonly spec: ExchangeSpec;
  /** One vector a local shard, in shard order. Overwritten by the exchange. */
  readonly inputs: readonly Vector[];
  /** The result over all shards of all workers; valid from `wait` to the next `start`. */
  readonly output: Vector;
  /** Begins the exchange; returns at once. */
  start(step: number): void;
  /**
   * Blocks the thread until the result is there.
   * @throws PeerLostError, DeadlineError, or whatever ended the run; the output is undefined then.
   */
  wait(): void;
}

export interface CommunicatorEvents {
  message(message: CoordinatorMessage): void;
  /** The run can't go on. Comes once; every `wait` throws the same error from then on. */
  failed(error: Error): void;
}

export interface Communicator {
  listen(events: CommunicatorEvents): void;
  send(message: WorkerMessage): void;
  /** Opens this worker's data plane and returns its endpoint. */
  openDataPlane(options: DataPlaneRequest): Promise<string>;
  /** Connects to every worker of the plan; resolves once each has been heard from. */
  join(plan: Plan): Promise<void>;
  /** Same order of calls on every worker, after `join`. */
  register(spec: Omit<ExchangeSpec, 'id'>): ExchangeHandle;
  /** Says that the main thread made progress; what a deadline is measured by. */
  tick(): void;
  close(): Promise<void>;
}

export interface DataPlaneRequest {
  readonly runId: string;
  readonly socketDirectory: string | null;
  readonly maxFrameBytes: number;
  readonly heartbeatMs: number;
  readonly peerTimeoutMs: number;
}
