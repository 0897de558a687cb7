/**
 * What a communicator does, whichever thread it runs in: control messages, heartbeats, the mesh, the exchanges, and
 * noticing that somebody is gone. Event-driven; never blocks, never touches a tensor.
 *
 * A broken connection to another worker isn't fatal at once. It is reported, and the coordinator, which hears from
 * everyone, says who was lost; else each survivor would name the neighbour that happened to leave first.
 */

import { CollectiveEngine } from '../../shared/collectives/collective-engine.js';
import type { ExchangeBuffers, ExchangeSpec, SharedPeers } from '../../shared/collectives/exchange.js';
import {
  VectorLayout,
  bytesOf,
  part,
  vectorsIn,
  type Placement,
  type Vectors,
} from '../../shared/collectives/vector-layout.js';
import {
  ConfigError,
  OperationalError,
  PeerLostError,
  StaleGenerationError,
  fromWireError,
  invariant,
} from '../../shared/errors.js';
import { decodeCoordinatorMessage, encodeMessage } from '../../shared/protocol/codec.js';
import { headerBytes, readHeader, writeHeader, type Frame } from '../../shared/protocol/frame.js';
import type { CoordinatorMessage, Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import type { DataPlane } from '../../shared/transport/transport.js';
import { asGeneration, asRank, type Rank } from '../../shared/words.js';
import type { DataPlaneRequest } from './communicator.js';
import type { CoreEvents, CoreTransports, PeerMemory } from './core-environment.js';
import { Flights } from './flights.js';
import { GenerationEnded } from './generation-ended.js';
import { RunMemory } from './run-memory.js';

/** Vectors that exchanges have parts of: this worker's, and those of the workers whose memory it can read. */
interface AllocatedVectors {
  readonly own: Vectors;
  readonly peers: ReadonlyMap<Rank, Vectors>;
}

/** First 8 bytes of the run's id (a UUID). */
export function runTagOf(runId: string): bigint {
  return BigInt(`0x${runId.replaceAll('-', '').slice(0, 16)}`);
}

/** Workers of a generation. */
const earlyFrames = 4_096;

/**
 * finished: its last step is done, and others may close their connections without being lost. It still speaks, since the
 * coordinator may die before it has heard so.
 */
type State = 'idle' | 'running' | 'finished' | 'leaving' | 'closed';

export class CommunicatorCore {
  readonly #transports: CoreTransports;
  readonly #events: CoreEvents;
  #state: State = 'idle';
  #failure: Error | undefined;
  #data: DataPlane | undefined;
  #request: DataPlaneRequest | undefined;
  #plan: Plan | undefined;
  #engine: CollectiveEngine | undefined;
  #layout: VectorLayout | undefined;
  #allocations: AllocatedVectors[] = [];
  #memories = new Map<Rank, PeerMemory>();
  readonly #readers = new Set<Rank>();
  #unheard = new Set<number>();
  #connected: { resolve(): void; reject(error: Error): void } | undefined;
  /** The last generation that is over. */
  #ended = 0;
  /** First frames of workers that know the next plan already. */
  #early: Frame[] = [];
  #heartbeat: NodeJS.Timeout | undefined;
  #lastHeardMs = performance.now();
  #verdict: NodeJS.Timeout | undefined;
  #flights: Flights | undefined;
  /** How many have come: progress too, while the main thread waits. */
  #frames = 0;
  readonly #memory = new RunMemory();
  /** Of the last plan, also after its end. */
  #membership: { generation: number; rank: number; worldSize: number } | undefined;

  constructor(transports: CoreTransports, events: CoreEvents) {
    this.#transports = transports;
    this.#events = events;
    transports.control.connect({
      message: (bytes) => this.#onControl(bytes),
      disconnected: () => this.#onDisconnected(),
      refused: (why) => this.#fail(new ConfigError(`The coordinator refused this worker: ${why}.`)),
    });
  }

  /** Whether a generation has been joined and isn't over. */
  get joined(): boolean {
    return this.#engine !== undefined;
  }

  get engine(): CollectiveEngine {
    invariant(this.#engine, 'no generation has been joined');
    return this.#engine;
  }

  send(message: WorkerMessage): void {
    if (this.#state === 'closed') return;
    this.#memory.note(message);
    if (message.type === 'finished') this.#flights?.flush();
    if (message.type === 'finished') this.#state = 'finished';
    if (message.type === 'failed') this.#state = 'leaving';
    this.#transports.control.send(encodeMessage(message));
  }

  async openDataPlane(
    request: DataPlaneRequest,
  ): Promise<{ endpoint: string; publicKey?: string | undefined }> {
    this.#request = request;
    if (request.trace) this.#flights = new Flights((spans) => this.send({ type: 'spans', spans }));
    this.#lastHeardMs = performance.now();
    this.#heartbeat = setInterval(() => this.#beat(), request.heartbeatMs);
    const data = await this.#transports.openDataPlane(request);
    this.#data = data;
    // Closed meanwhile: nobody else will close this one.
    if (this.#state === 'closed') await data.close();
    const { endpoint, publicKey } = data;
    return { endpoint, publicKey };
  }

  /** Resolves with whether this worker can read the memory of all others and they its. */
  async join(plan: Plan): Promise<boolean> {
    const data = this.#data;
    invariant(data && this.#request, 'the data plane is not open');
    if (plan.generation <= this.#ended) throw new GenerationEnded(this.#ended);
    const rank = asRank(plan.rank);
    this.#plan = plan;
    this.#membership = { generation: plan.generation, rank: plan.rank, worldSize: plan.workers.length };
    this.#state = 'running';
    const peers = plan.workers
      .filter((worker) => worker.rank !== plan.rank)
      .map(({ rank: other, endpoint, publicKey }) => ({ rank: asRank(other), endpoint, publicKey }));
    const runTag = runTagOf(this.#request.runId);
    const generation = asGeneration(plan.generation);
    this.#engine = new CollectiveEngine(
      {
        runTag,
        generation,
        rank,
        shards: plan.shards,
        ranges: plan.workers.map(({ shards }) => shards),
        hosts: plan.workers.map(({ host }) => host),
        collective: this.#request.collective,
        arithmetic: this.#transports.arithmetic,
      },
      (to, frame) => data.send(to, frame),
      (id) => {
        this.#flights?.landed(id, this.#engine?.nameOf(id) ?? String(id));
        this.#events.finished(id);
      },
      (error) => this.#events.refused(error),
    );
    this.#layout = new VectorLayout(this.#engine.mesh.ranges);
    for (const worker of plan.workers) {
      const near = worker.rank !== plan.rank && worker.host === plan.workers[plan.rank]?.host;
      const memory = near ? this.#transports.openMemory?.(worker.memory) : undefined;
      if (memory) this.#memories.set(asRank(worker.rank), memory);
    }
    this.#unheard = new Set(peers.map((peer) => peer.rank));
    const connected = new Promise<void>((resolve, reject) => (this.#connected = { resolve, reject }));
    data.connect(peers, {
      frame: (frame) => this.#onFrame(frame),
      disconnected: (lost) => this.#onPeerLost(lost),
    });
    for (const peer of peers) {
      const hello = Buffer.alloc(headerBytes + 1);
      hello[headerBytes] = this.#memories.has(peer.rank) ? 1 : 0;
      writeHeader([hello], {
        phase: 'hello',
        sender: rank,
        runTag,
        generation,
        exchange: 0,
        sequence: 0,
        step: 0,
      });
      data.send(peer.rank, [hello]);
    }
    const early = this.#early;
    this.#early = [];
    for (const frame of early) this.#onFrame(frame);
    this.#hear();
    await connected;
    return peers.every(({ rank: other }) => this.#memories.has(other) && this.#readers.has(other));
  }

  /** `provide` gives this worker's own memory at the place that the others expect. */
  allocate(elementCount: number, provide: (place: Placement) => ArrayBufferLike): Vectors {
    const { ranges, plan } = this.engine.mesh;
    const places = this.#layout?.add(elementCount) ?? [];
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

  register(spec: ExchangeSpec, buffers: ExchangeBuffers): void {
    this.engine.register(spec, buffers);
  }

  /** Registers an exchange over elements [start, start + elementCount) of an allocation. */
  registerPart(spec: ExchangeSpec, allocation: number, start: number): void {
    const allocated = this.#allocations[allocation];
    invariant(allocated, `no allocation ${allocation}`);
    const cut = (vectors: Vectors): Vectors => part(vectors, start, spec.elementCount);
    const readable = new Map([...allocated.peers].map(([rank, vectors]) => [rank, cut(vectors)]));
    const shared: SharedPeers = { readable, readers: this.#readers };
    this.engine.register(spec, cut(allocated.own), shared);
  }

  start(exchangeId: number, step: number): void {
    // A main thread that hasn't heard yet that its generation is over.
    if (this.#failure || !this.#engine) return;
    this.#flights?.started(exchangeId, step);
    this.#engine.start(exchangeId, step);
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    clearInterval(this.#heartbeat);
    clearTimeout(this.#verdict);
    for (const memory of this.#memories.values()) memory.close();
    this.#memories.clear();
    await Promise.all([this.#data?.close(), this.#transports.control.close()]);
  }

  #onControl(bytes: Uint8Array): void {
    this.#lastHeardMs = performance.now();
    let message: CoordinatorMessage;
    try {
      message = decodeCoordinatorMessage(bytes, 'the coordinator');
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (message.type === 'heartbeat') return;
    if (message.type === 'identify') {
      this.#identify();
      return;
    }
    if (message.type === 'finish') this.#state = 'leaving';
    if (message.type === 'regroup') this.#onRegroup(message.generation);
    this.#events.message(message);
    if (message.type === 'abort') this.#fail(fromWireError(message.error));
  }

  /** A successor asks again for what its predecessor may have been told already. */
  #onRegroup(generation: number): void {
    const { standing } = this.#memory;
    if (generation > this.#ended) this.#endGeneration(generation);
    else if (standing?.generation === generation) this.send(standing);
  }

  /** Forgets everything that belongs to a membership. */
  #endGeneration(generation: number): void {
    if (generation <= this.#ended) return;
    this.#ended = generation;
    this.#engine = undefined;
    this.#plan = undefined;
    this.#layout = undefined;
    this.#allocations = [];
    for (const memory of this.#memories.values()) memory.close();
    this.#memories.clear();
    this.#readers.clear();
    clearTimeout(this.#verdict);
    this.#verdict = undefined;
    if (this.#state !== 'closed') this.#state = 'idle';
    this.#connected?.reject(new GenerationEnded(generation));
    this.#connected = undefined;
    this.#events.ended(generation);
  }

  /** A worker that got its plan sooner says hello before this one knows of the generation. */
  #keepEarly(frame: Frame): boolean {
    if (frame.length !== 1 || frame[0]?.length !== headerBytes + 1 || this.#early.length >= earlyFrames)
      return false;
    const { phase, generation, runTag } = readHeader(frame);
    if (!this.#request || runTag !== runTagOf(this.#request.runId)) return false;
    if (phase !== 'hello' || generation <= Math.max(this.#ended, this.#plan?.generation ?? 0)) return false;
    this.#early.push(frame);
    return true;
  }

  #onFrame(frame: Frame): void {
    this.#frames++;
    try {
      if (this.#keepEarly(frame)) return;
      if (!this.#engine)
        throw new StaleGenerationError('Frame refused: no generation has been joined.', {
          kind: 'stale-generation',
        });
      const { phase, sender } = this.#engine.receive(frame);
      if (phase === 'hello') {
        if (frame[0]?.[headerBytes] === 1) this.#readers.add(asRank(sender));
        this.#unheard.delete(sender);
        this.#hear();
      }
    } catch (error) {
      this.#refuse(error);
    }
  }

  #hear(): void {
    if (this.#unheard.size > 0) return;
    this.#connected?.resolve();
    this.#connected = undefined;
  }

  #refuse(error: unknown): void {
    if (error instanceof OperationalError) this.#events.refused(error);
    else this.#fail(error instanceof Error ? error : new Error(String(error)));
  }

  #onPeerLost(rank: Rank): void {
    if (this.#state !== 'running' || this.#failure || !this.#plan || !this.#request) return;
    const worker = this.#plan.workers.find((other) => other.rank === rank);
    const who = `rank ${rank} (pid ${worker?.pid ?? '?'} on ${worker?.host ?? '?'})`;
    this.send({
      type: 'lost',
      generation: this.#plan.generation,
      rank,
      reason: 'the connection to it broke',
    });
    this.#verdict ??= setTimeout(
      () =>
        this.#fail(
          new PeerLostError(`Worker lost: the connection to ${who} broke and no verdict came.`, { rank }),
        ),
      this.#request.coordinatorTimeoutMs,
    );
  }

  /** Tells the successor of a coordinator what this worker is, and again what the other may not have passed on. */
  #identify(): void {
    const { join, ready, reports } = this.#memory;
    if (!join || !ready || !this.#request || this.#membership === undefined) return;
    const { runId } = this.#request;
    this.#transports.control.send(encodeMessage({ type: 'rejoin', runId, ...this.#membership, join, ready }));
    for (const report of reports) this.#transports.control.send(encodeMessage(report));
  }

  /** Silence for long: its process hangs or is gone, and has no successor. */
  #onCoordinatorLost(how: string): void {
    if (this.#state === 'leaving' || this.#state === 'closed') return;
    this.#fail(
      new PeerLostError(`Coordinator lost: it ${how}. Start the run again.`, { who: 'coordinator' }),
    );
  }

  /** Before this worker has a membership there is nothing that a successor could go on from. */
  #onDisconnected(): void {
    if (this.#membership === undefined) this.#onCoordinatorLost('closed the connection');
  }

  #beat(): void {
    if (!this.#request) return;
    if (this.#state !== 'leaving' && this.#state !== 'closed') {
      this.send({
        type: 'heartbeat',
        generation: this.#plan?.generation ?? 0,
        ticks: this.#events.ticks() + this.#frames,
        waitingFor: this.#waitingFor(),
      });
    }
    const silentMs = performance.now() - this.#lastHeardMs;
    if (silentMs > this.#request.coordinatorTimeoutMs) {
      this.#onCoordinatorLost(`has not answered for ${Math.round(silentMs / 1000)} s`);
    }
  }

  /** Empty unless the main thread is blocked until somebody else does something. */
  #waitingFor(): string {
    const waiting = this.#events.waiting();
    if (waiting === 0 || !this.#engine) return '';
    const missing = this.#engine
      .waitingFor()
      .map(({ exchange, ranks }) => `${exchange} from ${ranks.join(', ')}`);
    return [`${this.#engine.nameOf(waiting)} from another`, ...missing].join('; ').slice(0, 4_000);
  }

  #fail(error: Error): void {
    if (this.#failure || this.#state === 'closed') return;
    this.#failure = error;
    this.#events.failed(error);
  }
}
