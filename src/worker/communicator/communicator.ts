/**
 * The main thread's view of everybody else. Two implementations: `thread-communicator.ts` (a communicator thread that
 * owns ZeroMQ) and `inline-communicator.ts` (one process, no sockets). The training code can't tell them apart.
 */

import type { CollectiveChoice } from '../../shared/collectives/cost.js';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import type { Vector } from '../../shared/collectives/reduction.js';
import type { Vectors } from '../../shared/collectives/vector-layout.js';
import type { CoordinatorMessage, Plan, WorkerMessage } from '../../shared/protocol/messages.js';

/** A registered all-reduce over shards. One use at a time: fill the inputs, start, wait, read the output. */
export interface CollectiveHandle {
  readonly spec: CollectiveSpec;
  /** One vector a local shard, in shard order. Overwritten by the collective. */
  readonly inputs: readonly Vector[];
  /** The result over all shards of all workers; valid from `wait` to the next `start`. */
  readonly output: Vector;
  /** Begins the collective; returns at once. */
  start(step: number): void;
  /**
   * Blocks the thread until the result is there.
   * @throws GenerationEnded when the membership is over, or whatever ended the run; the output is undefined then.
   */
  wait(): void;
}

/** Vectors that several collectives share, each over its own part: one a local shard and one for the result. */
export interface Allocation extends Vectors {
  /** 0, 1, 2 ... in the order of allocation. */
  readonly index: number;
}

/** The elements of an allocation that a collective is over; it has as many as its `elementCount` says. */
export interface AllocationPart {
  readonly allocation: Allocation;
  readonly start: number;
}

export interface DataPlaneAddress {
  readonly endpoint: string;
  /** CURVE key that it is known by; undefined: the run has no keys. */
  readonly publicKey?: string | undefined;
  /** Where workers of the same host can open this worker's memory. */
  readonly memory: string | null;
}

export interface CommunicatorEvents {
  message(message: CoordinatorMessage): void;
  /** The run can't go on. Comes once; every `wait` throws the same error from then on. */
  failed(error: Error): void;
}

export interface Communicator {
  listen(events: CommunicatorEvents): void;
  send(message: WorkerMessage): void;
  /** Opens this worker's data plane. */
  openDataPlane(options: DataPlaneRequest): Promise<DataPlaneAddress>;
  /**
   * Connects to every worker of the plan; resolves once each has been heard from, with whether this worker shares memory
   * with all of them. What was allocated and registered for an earlier plan is gone.
   * @throws GenerationEnded when the plan is out of date already
   */
  join(plan: Plan): Promise<boolean>;
  /** Before the first collective. `sharing`: every worker shares memory with every other. */
  begin(sharing: boolean): void;
  /**
   * Float32 vectors, zero at first, where the workers of this host can read them if they share memory.
   * Same order of calls on every worker, after `join`.
   */
  allocate(elementCount: number): Allocation;
  /** Same order of calls on every worker, after `join`. The collective has vectors of its own, or a part of others. */
  register(spec: Omit<CollectiveSpec, 'id'>, within?: AllocationPart): CollectiveHandle;
  /** Says that the main thread made progress; what a deadline is measured by. */
  tick(): void;
  close(): Promise<void>;
}

/** The part of a communicator that registers collectives: all that the executor and the gradient buckets need of it. */
export type CollectiveRegistrar = Pick<Communicator, 'allocate' | 'register' | 'tick'>;

export interface DataPlaneRequest {
  readonly runId: string;
  readonly socketDirectory: string | null;
  readonly maxFrameBytes: number;
  /** Whether payloads between workers of one host may go through shared memory. */
  readonly sharedMemory: boolean;
  /** Whether collectives between hosts go in two levels. */
  readonly collective: CollectiveChoice;
  /** Whether collectives go on the time line. */
  readonly trace: boolean;
  readonly heartbeatMs: number;
  /** How long the coordinator may be silent before this worker gives up. */
  readonly coordinatorTimeoutMs: number;
}
