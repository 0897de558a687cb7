/**
 * The interface of a communicator as the main thread uses it. There are two implementations: `thread-communicator.ts` runs the
 * communicator in a thread that owns the ZeroMQ sockets, and `inline-communicator.ts` runs it in the main thread of a single process.
 */

import type { CollectiveChoice } from '../../shared/collectives/cost.js';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import type { Vector } from '../../shared/collectives/reduction.js';
import type { Vectors } from '../../shared/collectives/vector-layout.js';
import type { CoordinatorMessage, Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import type { ArtefactAnswer, ArtefactRequest } from './artefact-exchange.js';

/**
 * A registered all-reduce over shards, valid until its generation ends. One round at a time: fill the inputs, start, wait, read the
 * output. shared/collectives/route.ts lists the messages and bytes of a round.
 */
export interface CollectiveHandle {
  readonly spec: CollectiveSpec;
  /** One vector per local shard, in shard order. Overwritten by the collective. */
  readonly inputs: readonly Vector[];
  /** The result over all shards of all workers; valid from `wait` to the next `start`. */
  readonly output: Vector;
  /** Starts a round; does not block. */
  start(step: number): void;
  /**
   * Blocks the thread until the result is in the output.
   * @throws GenerationEnded when the generation has ended, or the error that ended the run; the output is then undefined
   */
  wait(): void;
}

/** Memory for several collectives, each over its own slice: one vector per local shard and one for the result. */
export interface Allocation extends Vectors {
  /** 0, 1, 2 ... in the order of allocation. */
  readonly index: number;
}

/** The elements of an allocation that belong to a collective: `elementCount` elements from `start`. */
export interface AllocationSlice {
  readonly allocation: Allocation;
  readonly start: number;
}

export interface DataPlaneAddress {
  readonly endpoint: string;
  /** CURVE key of the endpoint; undefined if the run has no keys. */
  readonly publicKey?: string | undefined;
  /** Address at which workers of the same host can open this worker's memory; null if the memory is not shared. */
  readonly memory: string | null;
}

export interface CommunicatorEvents {
  message(message: CoordinatorMessage): void;
  /** The run cannot continue. Called once. */
  failed(error: Error): void;
}

/** All methods and callbacks run on the main thread. */
export interface Communicator {
  listen(events: CommunicatorEvents): void;
  /** Sends a control message; does not block. */
  send(message: WorkerMessage): void;
  /** Opens this worker's data plane. Called once. @throws ConfigError when its socket can't be bound */
  openDataPlane(options: DataPlaneRequest): Promise<DataPlaneAddress>;
  /**
   * Connects to every other worker of the plan and sends each a hello. Resolves when a hello of each has arrived. The result is true if
   * this worker shares memory with all others. Allocations and collectives of earlier plans become invalid.
   * @throws GenerationEnded when the plan's generation has ended
   */
  join(plan: Plan): Promise<boolean>;
  /**
   * Called before the first collective of a generation.
   * @param sharesMemory true if every pair of workers shares memory. Small vectors are then reduced in this memory, without messages
   */
  begin(sharesMemory: boolean): void;
  /**
   * Allocates float32 vectors, initially zero. If the workers of this host share memory, all of them can read the vectors. The vectors
   * are valid until the generation ends. Called after `join`, in the same order on every worker.
   */
  allocate(elementCount: number): Allocation;
  /**
   * Registers a collective, over vectors of its own or over a slice of an allocation. Called after `join`, in the same order on every
   * worker.
   */
  register(spec: Omit<CollectiveSpec, 'id'>, within?: AllocationSlice): CollectiveHandle;
  /** Counts one unit of progress of the main thread. The coordinator detects a hung main thread by this count. */
  tick(): void;
  /**
   * Exchanges a checkpoint or the model with the run's folder, beside the training. A later request of the same kind replaces this one.
   * @throws the coordinator's error, an error of this worker's files, or the error that ended the run
   */
  transfer(request: ArtefactRequest): Promise<ArtefactAnswer>;
  /** Ends all connections. Pending messages are sent for at most a second. */
  close(): Promise<void>;
}

/** The part of a communicator that the executor and the gradient buckets use. */
export type CollectiveRegistrar = Pick<Communicator, 'allocate' | 'register' | 'tick'>;

export interface DataPlaneRequest {
  readonly runId: string;
  readonly socketDirectory: string | null;
  readonly maxFrameBytes: number;
  /** True if payloads between workers of one host may go through shared memory. */
  readonly sharedMemory: boolean;
  /** Number of levels of the collectives between hosts; `auto` chooses it by the cost model. */
  readonly collective: CollectiveChoice;
  /** True if collectives are recorded in the timeline. */
  readonly trace: boolean;
  readonly heartbeatMs: number;
  /** Silence of the coordinator after which it is considered lost. */
  readonly coordinatorTimeoutMs: number;
}
