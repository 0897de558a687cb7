/**
 * The main thread's end of the communicator thread. A collective is a synchronous call here: post the request, block in
 * `Atomics.wait` until the thread has counted it as finished. TensorFlow's work is all on this thread and done by then,
 * so nothing is lost by blocking.
 */

import { setFlagsFromString } from 'node:v8';
import { MessageChannel, Worker, receiveMessageOnPort, type MessagePort } from 'node:worker_threads';
import {
  SharedMemoryCollective,
  DirectLayout,
  smallBytes,
  type DirectGroup,
} from '../../shared/collectives/shared-memory-collective.js';
import { Mesh } from '../../shared/collectives/mesh.js';
import type { CollectiveBuffers, CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import { bytesPerElement, vectorOver } from '../../shared/collectives/reduction.js';
import { InvariantError, fromWireError, invariant } from '../../shared/errors.js';
import type { ClientKeys } from '../../shared/security/curve-key.js';
import type { Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import {
  VectorLayout,
  bytesOf,
  part,
  vectorsIn,
  type Placement,
} from '../../shared/collectives/vector-layout.js';
import { loadNativeMemory } from '../../shared/memory/native-memory.js';
import { SharedMemory, pageBytes } from '../../shared/memory/shared-memory.js';
import { asGeneration, asRank, type Range } from '../../shared/sharding/identifiers.js';
import type {
  Allocation,
  AllocationPart,
  Communicator,
  CommunicatorEvents,
  DataPlaneAddress,
  DataPlaneRequest,
  CollectiveHandle,
} from './communicator.js';
import type { RequestedLinkFault } from '../faults/fault-injector.js';
import { GenerationEnded } from './generation-ended.js';
import {
  maxCollectives,
  words,
  type FromThread,
  type Interruption,
  type ThreadOptions,
  type ToThread,
} from './thread-protocol.js';

/** How long a worker may take to end after the run has failed, before its communicator kills it. */
const graceMs = 5_000;

interface Pending<T> {
  resolve(value: T): void;
  reject(error: Error): void;
}

export interface ThreadCommunicatorOptions {
  /** The coordinator's endpoint, ipc://… or tcp://…. */
  readonly coordinator: string;
  /** File of the addon for shared memory; without it all payloads go through sockets. */
  readonly memoryAddon?: string | undefined;
  /** CURVE keys of both planes; null is allowed only for addresses that no other host can reach. */
  readonly keys?: ClientKeys | null;
  /** Whether link faults can be injected; for tests and `lockstep chaos`. */
  readonly linkFaults?: boolean;
}

export class ThreadCommunicator implements Communicator {
  readonly #thread: Worker;
  readonly #state = new Int32Array(new SharedArrayBuffer(4 * (words.collectives + maxCollectives)));
  readonly #failures: MessagePort;
  #events: CommunicatorEvents | undefined;
  #failure: Error | undefined;
  #registered = 0;
  #localShards: Range = { start: 0, end: 0 };
  #rank = 0;
  #layout: VectorLayout | undefined;
  #allocated = 0;
  readonly #buffers: SharedArrayBuffer[] = [];
  readonly #memoryAddon: string | undefined;
  #memory: SharedMemory | undefined;
  readonly #mapped = new Map<string, ArrayBuffer>();
  #opened: Pending<Omit<DataPlaneAddress, 'memory'>> | undefined;
  #joined: Pending<boolean> | undefined;
  #mesh: Mesh | undefined;
  #room: ArrayBuffer | undefined;
  #small = new DirectLayout();
  #direct: DirectGroup | undefined;
  #closed: (() => void) | undefined;

  /** Starts the thread. */
  constructor({ coordinator, memoryAddon, keys = null, linkFaults = false }: ThreadCommunicatorOptions) {
    this.#memoryAddon = memoryAddon;
    const { port1, port2 } = new MessageChannel();
    this.#failures = port1;
    port1.unref();
    const state = this.#state.buffer;
    const workerData: ThreadOptions = {
      coordinator,
      keys,
      linkFaults,
      memoryAddon,
      state,
      failures: port2,
      graceMs,
    };
    // The thread holds little but the memory of frames, which V8 counts too: by its usual limits, tens of megabytes, every other
    // all-reduce of 8 MB began a full collection of 20 ms. The limit is read when the thread's heap is made.
    setFlagsFromString('--initial-old-space-size=256');
    this.#thread = new Worker(new URL('./thread.js', import.meta.url), {
      workerData,
      transferList: [port2],
      name: 'communicator',
    });
    this.#thread.on('message', (message: FromThread) => this.#onMessage(message));
    this.#thread.on('error', (error) =>
      this.#fail(error instanceof Error ? error : new Error(String(error))),
    );
    this.#thread.on('exit', () => this.#closed?.());
  }

  listen(events: CommunicatorEvents): void {
    this.#events = events;
  }

  send(message: WorkerMessage): void {
    this.#post({ kind: 'send', message });
  }

  async openDataPlane(request: DataPlaneRequest): Promise<DataPlaneAddress> {
    // Also for itself alone: sockets send from there without a copy.
    const shared = SharedMemory.create(loadNativeMemory(this.#memoryAddon));
    this.#memory = shared?.memory;
    const address = await new Promise<Omit<DataPlaneAddress, 'memory'>>((resolve, reject) => {
      this.#opened = { resolve, reject };
      this.#post({ kind: 'open', request, memory: shared?.descriptor });
    });
    const reachable = request.sharedMemory ? shared?.address : undefined;
    return { ...address, memory: reachable ?? null };
  }

  join(plan: Plan): Promise<boolean> {
    const ranges = plan.workers.map(({ shards: owned }) => owned);
    const range = ranges[plan.rank];
    invariant(range, `rank ${plan.rank} is not in the plan`);
    this.#localShards = range;
    this.#rank = plan.rank;
    this.#layout = new VectorLayout(ranges);
    this.#registered = 0;
    this.#allocated = 0;
    // Before the thread hears of the plan: what interrupts the new generation comes after.
    if (!this.#failure) this.#state.fill(0, words.collectives).fill(0, words.failed, words.failed + 1);
    const { shards, workers } = plan;
    const [rank, generation] = [asRank(plan.rank), asGeneration(plan.generation)];
    const mesh = new Mesh({ runTag: 0n, generation, rank, shards, ranges });
    this.#mesh = mesh;
    this.#small = new DirectLayout();
    this.#direct = this.#directGroup(
      mesh,
      workers.map(({ memory, host }) => (host === workers[plan.rank]?.host ? memory : null)),
    );
    return new Promise<boolean>((resolve, reject) => {
      this.#joined = { resolve, reject };
      this.#post({ kind: 'join', plan });
    });
  }

  begin(sharing: boolean): void {
    if (!sharing) this.#direct = undefined;
  }

  /** What small vectors are collectived by, if every other worker's memory can be opened. */
  #directGroup(mesh: Mesh, addresses: readonly (string | null)[]): DirectGroup | undefined {
    const [native, own] = [loadNativeMemory(this.#memoryAddon), this.#memory];
    if (!native?.publish || !native.await || !own) return undefined;
    const rooms: ArrayBuffer[] = [];
    for (const [rank, address] of addresses.entries()) {
      const memory: SharedMemory | undefined =
        rank === mesh.plan.rank ? own : SharedMemory.open(native, address);
      if (!memory) return undefined;
      rooms.push(
        memory === own ? (this.#room ??= own.map(pageBytes, smallBytes)) : memory.map(pageBytes, smallBytes),
      );
      if (memory !== own) memory.close();
    }
    return {
      mesh,
      rooms,
      futex: { publish: native.publish, await: native.await },
      check: () => {
        if (Atomics.load(this.#state, words.failed) !== 0) throw this.#takeFailure();
      },
      waiting: (id) => Atomics.store(this.#state, words.waiting, id),
    };
  }

  allocate(elementCount: number): Allocation {
    const place = this.#layout?.add(elementCount)[this.#rank];
    invariant(place, 'no generation has been joined');
    const buffer = this.#memory ? undefined : this.#buffer(bytesOf(this.#localShards, elementCount));
    this.#post({ kind: 'allocate', elementCount, buffer });
    const memory = buffer ?? this.#map(place);
    invariant(memory, 'an allocation without memory');
    return { ...vectorsIn(memory, this.#localShards, elementCount), index: this.#allocated++ };
  }

  /**
   * At least so many bytes for the next allocation, the same in every generation unless it takes more than ever before:
   * TensorFlow keeps a kernel for each address that an op of ours has been given.
   */
  #buffer(bytes: number): SharedArrayBuffer {
    const held = this.#buffers[this.#allocated];
    if (held && held.byteLength >= bytes) return held;
    return (this.#buffers[this.#allocated] = new SharedArrayBuffer(bytes));
  }

  /** The same part is mapped once: native code keeps what it knows of an address. */
  #map({ offset, bytes }: Placement): ArrayBuffer | undefined {
    const key = `${offset}/${bytes}`;
    const mapped = this.#mapped.get(key) ?? this.#memory?.map(offset, bytes);
    if (mapped) this.#mapped.set(key, mapped);
    return mapped;
  }

  register(partial: Omit<CollectiveSpec, 'id'>, within?: AllocationPart): CollectiveHandle {
    const spec: CollectiveSpec = { ...partial, id: ++this.#registered };
    invariant(spec.id < maxCollectives, `more than ${maxCollectives} collectives`);
    if (within) {
      const { allocation, start } = within;
      this.#post({ kind: 'registerPart', spec, allocation: allocation.index, start });
      return this.#handle(spec, part(allocation, start, spec.elementCount));
    }
    const bytes = spec.elementCount * bytesPerElement(spec.reduction);
    const { start, end } = this.#localShards;
    const inputs = Array.from({ length: end - start }, () => new SharedArrayBuffer(bytes));
    const output = new SharedArrayBuffer(bytes);
    this.#post({ kind: 'register', spec, inputs, output });
    return this.#handle(spec, {
      inputs: inputs.map((buffer) => vectorOver(spec.reduction, buffer)),
      output: vectorOver(spec.reduction, output),
    });
  }

  #handle(spec: CollectiveSpec, buffers: CollectiveBuffers): CollectiveHandle {
    const word = words.collectives + spec.id;
    let started = 0;
    const place = this.#mesh && this.#small.add(this.#mesh, spec);
    let direct: SharedMemoryCollective | undefined;
    return {
      spec,
      ...buffers,
      start: (step) => {
        this.tick();
        if (place && this.#direct) {
          direct ??= new SharedMemoryCollective(this.#direct, spec, buffers, place);
          direct.start();
          return;
        }
        started++;
        this.#post({ kind: 'start', id: spec.id, step });
      },
      wait: () => {
        for (; !direct;) {
          const finished = Atomics.load(this.#state, word);
          if (finished === started) break;
          if (finished < 0) throw this.#takeFailure();
          Atomics.store(this.#state, words.waiting, spec.id);
          Atomics.wait(this.#state, word, finished);
          Atomics.store(this.#state, words.waiting, 0);
        }
        direct?.wait();
        this.tick();
      },
    };
  }

  /** Ends this worker's part for a reason of its own process: its launcher is gone, or it was told to stop. */
  abandon(error: Error): void {
    this.#fail(error);
  }

  /** Injects a fault into one of this worker's links. Has no effect without the option `linkFaults`. */
  injectLinkFault(fault: RequestedLinkFault): void {
    this.#post({ kind: 'link-fault', fault });
  }

  tick(): void {
    Atomics.add(this.#state, words.ticks, 1);
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => (this.#closed = resolve));
    this.#post({ kind: 'close' });
    await closed;
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
        this.#opened?.resolve({ endpoint: message.endpoint, publicKey: message.publicKey });
        break;
      case 'joined':
        this.#joined?.resolve(message.sharing && this.#direct !== undefined);
        break;
      case 'refused':
        process.emitWarning(message.message, { code: message.code });
        break;
      case 'ended':
        this.#joined?.reject(new GenerationEnded(message.generation));
        break;
      case 'failed':
        this.#fail(fromWireError(message.error));
        break;
    }
  }

  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#opened?.reject(error);
    this.#joined?.reject(error);
    this.#events?.failed(error);
  }

  /** Why nothing finishes any more, which this blocked thread couldn't get from its event loop. */
  #takeFailure(): Error {
    let ended = 0;
    for (;;) {
      const received = receiveMessageOnPort(this.#failures) as { message: Interruption } | undefined;
      if (!received) break;
      if (received.message.kind === 'ended') ended = Math.max(ended, received.message.generation);
      else this.#failure ??= fromWireError(received.message.error);
    }
    if (this.#failure) return this.#failure;
    return ended > 0 ? new GenerationEnded(ended) : new InvariantError('interrupted without a reason');
  }
}
