/**
 * One generation that this worker has joined: its peers, its collectives, the memory of peers that this worker can read, and the
 * peers whose hellos have arrived. `end` and `close` release these resources. Each generation has its own object.
 */

import { CollectiveEngine } from '../../shared/collectives/collective-engine.js';
import type {
  CollectiveBuffers,
  CollectiveSpec,
  SharedPeers,
} from '../../shared/collectives/collective-spec.js';
import { runTagOf, type GenerationIdentity } from '../../shared/collectives/generation-identity.js';
import {
  VectorLayout,
  bytesOf,
  sliceOf,
  vectorsIn,
  type Region,
  type Vectors,
} from '../../shared/collectives/vector-layout.js';
import { invariant, type OperationalError } from '../../shared/errors.js';
import type { Frame } from '../../shared/protocol/frame.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { awakeTimeout } from '../../shared/time/awake-clock.js';
import type { DataPlane, PeerAddress } from '../../shared/transport/transport.js';
import { asGeneration, asRank, type Rank } from '../../shared/sharding/identifiers.js';
import type { DataPlaneRequest } from './communicator.js';
import type { CoreTransports, PeerMemory } from './core-environment.js';
import { helloFrame, readsMemory } from './hello.js';

/** The vectors of an allocation: those of this worker, and those of the peers whose memory this worker can read. */
interface AllocatedVectors {
  readonly own: Vectors;
  readonly peers: ReadonlyMap<Rank, Vectors>;
}

export interface GenerationEvents {
  finished(collectiveId: number): void;
  /** A frame was refused and has had no effect. */
  refused(error: OperationalError): void;
}

export class JoinedGeneration {
  readonly plan: Plan;
  readonly engine: CollectiveEngine;
  readonly #identity: GenerationIdentity;
  readonly #peers: readonly PeerAddress[];
  readonly #layout: VectorLayout;
  readonly #allocations: AllocatedVectors[] = [];
  readonly #memories = new Map<Rank, PeerMemory>();
  /** The peers that can read this worker's memory. */
  readonly #readers = new Set<Rank>();
  /** The peers whose hello has not arrived. */
  readonly #awaited: Set<Rank>;
  /** Resolves when all hellos have arrived. The result is true if this worker and each peer can read each other's memory. */
  readonly connected: Promise<boolean>;
  #connecting: { resolve(sharesMemory: boolean): void; reject(error: Error): void } | undefined;
  #cancelVerdict: (() => void) | undefined;

  /** Opens the memory of peers on the same host. `greet` connects to the peers. */
  constructor(
    plan: Plan,
    { runId, collective }: DataPlaneRequest,
    transports: CoreTransports,
    data: Pick<DataPlane, 'send'>,
    events: GenerationEvents,
  ) {
    this.plan = plan;
    this.#identity = { runTag: runTagOf(runId), generation: asGeneration(plan.generation) };
    this.#peers = plan.workers
      .filter((worker) => worker.rank !== plan.rank)
      .map(({ rank, endpoint, publicKey }) => ({ rank: asRank(rank), endpoint, publicKey }));
    this.#awaited = new Set(this.#peers.map(({ rank }) => rank));
    this.connected = new Promise((resolve, reject) => (this.#connecting = { resolve, reject }));
    this.engine = new CollectiveEngine(
      {
        ...this.#identity,
        rank: asRank(plan.rank),
        shards: plan.shards,
        ranges: plan.workers.map(({ shards }) => shards),
        hosts: plan.workers.map(({ host }) => host),
        collective,
        arithmetic: transports.arithmetic,
      },
      (to, frame) => data.send(to, frame),
      (id) => events.finished(id),
      (error) => events.refused(error),
    );
    this.#layout = new VectorLayout(this.engine.mesh.ranges);
    for (const worker of plan.workers) {
      const sameHost = worker.rank !== plan.rank && worker.host === plan.workers[plan.rank]?.host;
      const memory = sameHost ? transports.openMemory?.(worker.memory) : undefined;
      if (memory) this.#memories.set(asRank(worker.rank), memory);
    }
  }

  /** Connects to all peers and sends each a hello. Cost: n-1 messages of a header and one byte. */
  greet(data: DataPlane, { frame, disconnected }: Parameters<DataPlane['connect']>[1]): void {
    data.connect(this.#peers, { frame, disconnected });
    for (const { rank } of this.#peers)
      data.send(rank, helloFrame(this.plan.rank, this.#identity, this.#memories.has(rank)));
  }

  /** @throws OperationalError when the frame is refused */
  receive(frame: Frame): void {
    const { phase, sender } = this.engine.receive(frame);
    if (phase !== 'hello') return;
    if (readsMemory(frame)) this.#readers.add(asRank(sender));
    this.#awaited.delete(asRank(sender));
    this.resolveIfConnected();
  }

  /** Resolves `connected` if no hello is awaited any more. */
  resolveIfConnected(): void {
    if (this.#awaited.size > 0) return;
    const sharesMemory = this.#peers.every(({ rank }) => this.#memories.has(rank) && this.#readers.has(rank));
    this.#connecting?.resolve(sharesMemory);
    this.#connecting = undefined;
  }

  /** Calls `timedOut` after `timeoutMs` unless the generation ends before. Only the first call of this method has an effect. */
  awaitVerdict(timeoutMs: number, timedOut: () => void): void {
    this.#cancelVerdict ??= awakeTimeout(timeoutMs, timedOut);
  }

  /**
   * Adds an allocation, with the vectors of this worker and of the peers whose memory this worker can read.
   * @param memoryAt returns this worker's memory at a region
   */
  allocate(elementCount: number, memoryAt: (region: Region) => ArrayBufferLike): Vectors {
    const { ranges, rank: own } = this.engine.mesh;
    const regions = this.#layout.add(elementCount);
    const vectorsOf = (rank: Rank, memory: (region: Region) => ArrayBufferLike): Vectors => {
      const [range, region] = [ranges[rank], regions[rank]];
      invariant(range && region, `no rank ${rank} in the plan`);
      invariant(region.bytes >= bytesOf(range, elementCount), 'an allocation is larger than its region');
      return vectorsIn(memory(region), range, elementCount);
    };
    const peers = new Map<Rank, Vectors>();
    for (const [rank, memory] of this.#memories) {
      const vectors = vectorsOf(rank, ({ offset, bytes }) => memory.map(offset, bytes));
      peers.set(rank, vectors);
    }
    const vectors = vectorsOf(own, memoryAt);
    this.#allocations.push({ own: vectors, peers });
    return vectors;
  }

  /** Registers a collective over vectors that peers cannot read. */
  register(spec: CollectiveSpec, buffers: CollectiveBuffers): void {
    this.engine.register(spec, buffers);
  }

  /** Registers a collective over elements [start, start + elementCount) of an allocation. */
  registerSlice(spec: CollectiveSpec, allocation: number, start: number): void {
    const allocated = this.#allocations[allocation];
    invariant(allocated, `no allocation ${allocation}`);
    const slice = (vectors: Vectors): Vectors => sliceOf(vectors, start, spec.elementCount);
    const readable = new Map([...allocated.peers].map(([rank, vectors]) => [rank, slice(vectors)]));
    const shared: SharedPeers = { readable, readers: this.#readers };
    this.engine.register(spec, slice(allocated.own), shared);
  }

  /** Names each collective in flight and the ranks whose frames it lacks. */
  missing(): string[] {
    return this.engine.waitingFor().map(({ collective, ranks }) => `${collective} from ${ranks.join(', ')}`);
  }

  /** Closes the memory of peers and cancels the wait for a verdict. */
  close(): void {
    this.#cancelVerdict?.();
    for (const memory of this.#memories.values()) memory.close();
    this.#memories.clear();
  }

  /** Calls `close`. If `connected` is pending, rejects it with `error`. */
  end(error: Error): void {
    this.close();
    this.#connecting?.reject(error);
    this.#connecting = undefined;
  }
}
