/**
 * The communicator of a worker process. Runs on the main thread and starts the communicator thread. `start` of a collective posts a
 * request to that thread and returns at once. `wait` blocks in `Atomics.wait` until that thread has counted the round as finished.
 * Small collectives in shared memory bypass that thread.
 */

import { setFlagsFromString } from 'node:v8';
import { MessageChannel, Worker } from 'node:worker_threads';
import type { CollectiveBuffers, CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import { Mesh } from '../../shared/collectives/mesh.js';
import { bytesPerElement, vectorOver } from '../../shared/collectives/reduction.js';
import {
  SharedMemoryCollective,
  SmallVectorLayout,
  type SharedMemoryGroup,
} from '../../shared/collectives/shared-memory-collective.js';
import { sliceOf } from '../../shared/collectives/vector-layout.js';
import { fromWireError, invariant, asError } from '../../shared/errors.js';
import type { Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import { asGeneration, asRank } from '../../shared/sharding/identifiers.js';
import { CollectiveMemory } from './collective-memory.js';
import type {
  Allocation,
  AllocationSlice,
  CollectiveHandle,
  Communicator,
  CommunicatorEvents,
  DataPlaneAddress,
  DataPlaneRequest,
} from './communicator.js';
import { GenerationEnded } from './generation-ended.js';
import { maxCollectives, type FromThread, type ThreadOptions, type ToThread } from './thread-protocol.js';
import { ThreadState } from './thread-state.js';

/** Time in which a worker must end after the run has failed, before its communicator kills the process. */
const graceMs = 5_000;

type ArtefactAnswer = Awaited<ReturnType<Communicator['transfer']>>;

interface Pending<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

/** The collectives of the generation that was joined last. */
interface Membership {
  readonly mesh: Mesh;
  readonly smallVectors: SmallVectorLayout;
  /** Undefined if small vectors are not reduced in shared memory. */
  group: SharedMemoryGroup | undefined;
  registered: number;
}

export type ThreadCommunicatorOptions = Partial<
  Pick<
    ThreadOptions,
    'memoryAddon' | 'keys' | 'linkFaults' | 'health' | 'peer' | 'connectTimeoutMs' | 'launcherPid'
  >
> &
  Pick<ThreadOptions, 'coordinator'>;

export class ThreadCommunicator implements Communicator {
  readonly #thread: Worker;
  readonly #state: ThreadState;
  readonly #memory: CollectiveMemory;
  #events: CommunicatorEvents | undefined;
  #membership: Membership | undefined;
  #opening: Pending<Omit<DataPlaneAddress, 'memory'>> | undefined;
  #joining: Pending<boolean> | undefined;
  /** By id. */
  readonly #transfers = new Map<number, Pending<ArtefactAnswer>>();
  #transferred = 0;
  #closing: (() => void) | undefined;

  /**
   * Starts the thread. `failed` is called with a ConfigError if other hosts can reach the coordinator's address and there are no keys,
   * or if the address of the health server cannot be bound.
   */
  constructor({
    memoryAddon,
    keys = null,
    linkFaults = false,
    health = null,
    launcherPid,
    ...options
  }: ThreadCommunicatorOptions) {
    const { port1, port2: failures } = new MessageChannel();
    port1.unref();
    this.#state = new ThreadState(port1);
    this.#memory = new CollectiveMemory(memoryAddon);
    const { buffer: state } = this.#state;
    const workerData: ThreadOptions = {
      ...options,
      keys,
      linkFaults,
      memoryAddon,
      state,
      failures,
      health,
      graceMs,
      launcherPid,
    };
    // V8 counts the memory of received frames towards the size of the thread's heap. With V8's default initial limit, every second
    // all-reduce of 8 MB started a garbage collection of 20 ms. V8 reads this flag when it creates the thread's heap.
    setFlagsFromString('--initial-old-space-size=256');
    this.#thread = new Worker(new URL('./thread.js', import.meta.url), {
      workerData,
      transferList: [failures],
      name: 'communicator',
    });
    this.#thread.on('message', (message: FromThread) => this.#onMessage(message));
    if (health) this.#state.showTurns();
    this.#thread.on('error', (error) => this.#fail(asError(error)));
    this.#thread.on('exit', () => this.#closing?.());
  }

  listen(events: CommunicatorEvents): void {
    this.#events = events;
    // The thread may have failed, and the launcher may have ended, before anything listened.
    if (this.#state.failure) events.failed(this.#state.failure);
  }

  send(message: WorkerMessage): void {
    this.#post({ kind: 'send', message });
  }

  async openDataPlane(request: DataPlaneRequest): Promise<DataPlaneAddress> {
    const shared = this.#memory.create();
    const address = await this.#answer<Omit<DataPlaneAddress, 'memory'>>((pending) => {
      this.#opening = pending;
      this.#post({ kind: 'open', request, memory: shared?.descriptor });
    });
    const readable = request.sharedMemory ? shared?.address : undefined;
    return { ...address, memory: readable ?? null };
  }

  join(plan: Plan): Promise<boolean> {
    this.#memory.join(plan);
    // `reset` precedes the message to the thread. A later `reset` could clear an interruption of the new generation.
    this.#state.reset();
    const ranges = plan.workers.map(({ shards }) => shards);
    const mesh = new Mesh({ rank: asRank(plan.rank), shards: plan.shards, ranges });
    const opened = this.#memory.openGroup(plan, mesh);
    const group = opened && {
      ...opened,
      mesh,
      generation: asGeneration(plan.generation),
      check: () => this.#state.check(),
      waiting: (id: number) => this.#state.setWaiting(id),
    };
    this.#membership = { mesh, smallVectors: new SmallVectorLayout(), group, registered: 0 };
    return this.#answer<boolean>((pending) => {
      this.#joining = pending;
      this.#post({ kind: 'join', plan });
    });
  }

  begin(sharesMemory: boolean): void {
    if (!sharesMemory && this.#membership) this.#membership.group = undefined;
  }

  allocate(elementCount: number): Allocation {
    const { allocation, buffer } = this.#memory.allocate(elementCount);
    this.#post({ kind: 'allocate', elementCount, buffer });
    return allocation;
  }

  register(partial: Omit<CollectiveSpec, 'id'>, within?: AllocationSlice): CollectiveHandle {
    const membership = this.#membership;
    invariant(membership, 'no generation has been joined');
    const spec: CollectiveSpec = { ...partial, id: ++membership.registered };
    invariant(spec.id < maxCollectives, `more than ${maxCollectives} collectives`);
    if (within) {
      const { allocation, start } = within;
      this.#post({ kind: 'register-slice', spec, allocation: allocation.index, start });
      return this.#handle(membership, spec, sliceOf(allocation, start, spec.elementCount));
    }
    const bytes = spec.elementCount * bytesPerElement(spec.reduction);
    const { start, end } = this.#memory.localShards;
    const inputs = Array.from({ length: end - start }, () => new SharedArrayBuffer(bytes));
    const output = new SharedArrayBuffer(bytes);
    this.#post({ kind: 'register', spec, inputs, output });
    return this.#handle(membership, spec, {
      inputs: inputs.map((buffer) => vectorOver(spec.reduction, buffer)),
      output: vectorOver(spec.reduction, output),
    });
  }

  #handle(membership: Membership, spec: CollectiveSpec, buffers: CollectiveBuffers): CollectiveHandle {
    const small = membership.smallVectors.add(membership.mesh, spec);
    let shared: SharedMemoryCollective | undefined;
    let started = 0;
    return {
      spec,
      ...buffers,
      start: (step) => {
        this.tick();
        if (small && membership.group) {
          shared ??= new SharedMemoryCollective(membership.group, spec, buffers, small);
          shared.start();
        } else {
          started++;
          this.#post({ kind: 'start', id: spec.id, step });
        }
      },
      wait: () => {
        if (shared) shared.wait();
        else this.#state.awaitRounds(spec.id, started);
        this.tick();
      },
    };
  }

  /** Fails for a local reason: the launcher of this process has ended, or this process has received a signal. The process ends within `graceMs`. */
  abandon(error: Error): void {
    this.#fail(error);
    this.#post({ kind: 'abandon' });
  }

  /** Injects a fault into one of this worker's links. Has no effect without the option `linkFaults`. */
  injectLinkFault(fault: Extract<ToThread, { kind: 'link-fault' }>['fault']): void {
    this.#post({ kind: 'link-fault', fault });
  }

  transfer(request: Parameters<Communicator['transfer']>[0]): Promise<ArtefactAnswer> {
    const id = this.#transferred++;
    return this.#answer<ArtefactAnswer>((pending) => {
      this.#transfers.set(id, pending);
      this.#post({ kind: 'transfer', id, request });
    }).finally(() => this.#transfers.delete(id));
  }

  tick(): void {
    this.#state.tick();
  }

  /** Increases with the progress of the main thread, and with each piece of an artefact that is sent or received. */
  get progress(): number {
    return this.#state.ticks;
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => (this.#closing = resolve));
    this.#post({ kind: 'close' });
    await closed;
  }

  /** Asks the thread for something. Rejects if the run fails or has failed, because no answer comes then. */
  #answer<T>(ask: (pending: Pending<T>) => void): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#state.failure) reject(this.#state.failure);
      else ask({ resolve, reject });
    });
  }

  #post(message: ToThread): void {
    this.#thread.postMessage(message);
  }

  #onMessage(message: FromThread): void {
    switch (message.kind) {
      case 'message':
        this.#events?.message(message.message);
        break;
      case 'opened':
        this.#opening?.resolve({ endpoint: message.endpoint, publicKey: message.publicKey });
        break;
      case 'joined':
        this.#joining?.resolve(message.sharesMemory && this.#membership?.group !== undefined);
        break;
      case 'transferred':
        this.#transfers.get(message.id)?.resolve(message.answer);
        break;
      case 'not-transferred':
        this.#transfers.get(message.id)?.reject(fromWireError(message.error));
        break;
      case 'refused':
        process.emitWarning(message.message, { code: message.code });
        break;
      case 'health':
        process.stderr.write(`Health: ${message.url}healthz and ${message.url}readyz\n`);
        break;
      case 'ended':
        this.#joining?.reject(new GenerationEnded(message.generation));
        break;
      case 'failed':
        this.#fail(fromWireError(message.error));
        break;
    }
  }

  #fail(error: Error): void {
    if (this.#state.failure) return;
    this.#state.failure = error;
    this.#opening?.reject(error);
    this.#joining?.reject(error);
    for (const { reject } of this.#transfers.values()) reject(error);
    this.#events?.failed(error);
  }
}
