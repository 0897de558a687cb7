/**
 * What belongs to one generation that this worker has joined: who the others are, the collectives, whose memory can be read, and who
 * has said hello. Owns all of it until `end` or `close`; a worker that joins another generation makes another one.
 */

import { CollectiveEngine } from '../../shared/collectives/collective-engine.js';
import type { CollectiveSpec, SharedPeers } from '../../shared/collectives/collective-spec.js';
import {
  VectorLayout,
  bytesOf,
  part,
  vectorsIn,
  type Placement,
  type Vectors,
} from '../../shared/collectives/vector-layout.js';
import { invariant, type OperationalError } from '../../shared/errors.js';
import { headerBytes, writeHeader, type Frame } from '../../shared/protocol/frame.js';
import type { Plan } from '../../shared/protocol/messages.js';
import type { DataPlane } from '../../shared/transport/transport.js';
import { asGeneration, asRank, type Rank } from '../../shared/sharding/identifiers.js';
import type { DataPlaneRequest } from './communicator.js';
import type { CoreTransports, PeerMemory } from './core-environment.js';

/** First 8 bytes of the run's id (a UUID). */
export function runTagOf(runId: string): bigint {
  return BigInt(`0x${runId.replaceAll('-', '').slice(0, 16)}`);
}

export const helloBytes = headerBytes + 1;

/** Vectors that collectives have parts of: this worker's, and those of the workers whose memory it can read. */
interface AllocatedVectors {
  readonly own: Vectors;
  readonly peers: ReadonlyMap<Rank, Vectors>;
}

export interface GenerationEvents {
  finished(collectiveId: number): void;
  /** A frame was refused; nothing of it counts. */
  refused(error: OperationalError): void;
}

interface Peer {
  readonly rank: Rank;
  readonly endpoint: string;
  readonly publicKey?: string | undefined;
}

export class JoinedGeneration {
  readonly plan: Plan;
  readonly engine: CollectiveEngine;
  readonly #runTag: bigint;
  readonly #peers: readonly Peer[];
  readonly #layout: VectorLayout;
  readonly #allocations: AllocatedVectors[] = [];
  readonly #memories = new Map<Rank, PeerMemory>();
  /** Those who can read this worker's memory. */
  readonly #readers = new Set<Rank>();
  readonly #unheard: Set<Rank>;
  /** Resolves when all have said hello, with whether this worker can read the memory of all others and they its. */
  readonly connected: Promise<boolean>;
  #settle: { resolve(sharing: boolean): void; reject(error: Error): void } | undefined;

  constructor(
    plan: Plan,
    { runId, collective }: DataPlaneRequest,
    transports: CoreTransports,
    data: Pick<DataPlane, 'send'>,
    events: GenerationEvents,
  ) {
    this.plan = plan;
    this.#runTag = runTagOf(runId);
    const rank = asRank(plan.rank);
    this.#peers = plan.workers
      .filter((worker) => worker.rank !== plan.rank)
      .map(({ rank: other, endpoint, publicKey }) => ({ rank: asRank(other), endpoint, publicKey }));
    this.#unheard = new Set(this.#peers.map((peer) => peer.rank));
    this.connected = new Promise((resolve, reject) => (this.#settle = { resolve, reject }));
    this.engine = new CollectiveEngine(
      {
        ...{ runTag: this.#runTag, generation: asGeneration(plan.generation), rank, shards: plan.shards },
        ranges: plan.workers.map(({ shards }) => shards),
        hosts: plan.workers.map(({ host }) => host),
        ...{ collective, arithmetic: transports.arithmetic },
      },
      (to, frame) => data.send(to, frame),
      (id) => events.finished(id),
      (error) => events.refused(error),
    );
    this.#layout = new VectorLayout(this.engine.mesh.ranges);
    for (const worker of plan.workers) {
      const near = worker.rank !== plan.rank && worker.host === plan.workers[plan.rank]?.host;
      const memory = near ? transports.openMemory?.(worker.memory) : undefined;
      if (memory) this.#memories.set(asRank(worker.rank), memory);
    }
  }

  /** Connects to all others and says hello to each, and whether its memory can be read. */
  greet(data: DataPlane, { frame, disconnected }: Parameters<DataPlane['connect']>[1]): void {
    data.connect(this.#peers, { frame, disconnected });
    const { rank, generation } = this.plan;
    for (const peer of this.#peers) {
      const hello = Buffer.alloc(helloBytes);
      hello[headerBytes] = this.#memories.has(peer.rank) ? 1 : 0;
      writeHeader([hello], {
        ...{ phase: 'hello', sender: rank, runTag: this.#runTag, generation },
        ...{ collective: 0, sequence: 0, step: 0 },
      });
      data.send(peer.rank, [hello]);
    }
  }

  /** @throws OperationalError when the frame is refused */
  receive(frame: Frame): void {
    const { phase, sender } = this.engine.receive(frame);
    if (phase !== 'hello') return;
    if (frame[0]?.[headerBytes] === 1) this.#readers.add(asRank(sender));
    this.#unheard.delete(asRank(sender));
    this.settle();
  }

  /** Ends the wait for hellos if there is nobody left to wait for. */
  settle(): void {
    if (this.#unheard.size > 0) return;
    this.#settle?.resolve(
      this.#peers.every(({ rank }) => this.#memories.has(rank) && this.#readers.has(rank)),
    );
    this.#settle = undefined;
  }

  /** `provide` gives this worker's own memory at the place that the others expect. */
  allocate(elementCount: number, provide: (place: Placement) => ArrayBufferLike): Vectors {
    const { ranges, plan } = this.engine.mesh;
    const places = this.#layout.add(elementCount);
    const vectors = (rank: number, memory: (place: Placement) => ArrayBufferLike): Vectors => {
      const [range, place] = [ranges[rank], places[rank]];
      invariant(range && place, `no rank ${rank} in the plan`);
      invariant(place.bytes >= bytesOf(range, elementCount), 'an allocation without room');
      return vectorsIn(memory(place), range, elementCount);
    };
    const peers = new Map<Rank, Vectors>();
    for (const [rank, memory] of this.#memories) {
      peers.set(
        rank,
        vectors(rank, ({ offset, bytes }) => memory.map(offset, bytes)),
      );
    }
    const own = vectors(plan.rank, provide);
    this.#allocations.push({ own, peers });
    return own;
  }

  /** Registers a collective over elements [start, start + elementCount) of an allocation. */
  registerPart(spec: CollectiveSpec, allocation: number, start: number): void {
    const allocated = this.#allocations[allocation];
    invariant(allocated, `no allocation ${allocation}`);
    const cut = (vectors: Vectors): Vectors => part(vectors, start, spec.elementCount);
    const readable = new Map([...allocated.peers].map(([rank, vectors]) => [rank, cut(vectors)]));
    const shared: SharedPeers = { readable, readers: this.#readers };
    this.engine.register(spec, cut(allocated.own), shared);
  }

  /** Empty where nothing is awaited from anybody; else each collective and the ranks that it lacks. */
  missing(): string[] {
    return this.engine.waitingFor().map(({ collective, ranks }) => `${collective} from ${ranks.join(', ')}`);
  }

  /** Lets go of the others' memory. */
  close(): void {
    for (const memory of this.#memories.values()) memory.close();
    this.#memories.clear();
  }

  /** Whoever waits for hellos gets `error`. */
  end(error: Error): void {
    this.close();
    this.#settle?.reject(error);
    this.#settle = undefined;
  }
}
