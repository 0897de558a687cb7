/**
 * What a communicator does, whichever thread it runs in: control messages, heartbeats, the mesh, the collectives, and
 * noticing that somebody is gone. Event-driven; never blocks, never touches a tensor.
 *
 * A broken connection to another worker isn't fatal at once. It is reported, and the coordinator, which hears from
 * everyone, says who was lost; else each survivor would name the neighbour that happened to leave first.
 */

import type { CollectiveEngine } from '../../shared/collectives/collective-engine.js';
import type { CollectiveBuffers, CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import type { Placement, Vectors } from '../../shared/collectives/vector-layout.js';
import {
  ConfigError,
  OperationalError,
  PeerLostError,
  StaleGenerationError,
  fromWireError,
  invariant,
} from '../../shared/errors.js';
import { decodeCoordinatorMessage, encodeMessage } from '../../shared/protocol/codec.js';
import { readHeader, type Frame } from '../../shared/protocol/frame.js';
import type { CoordinatorMessage, Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import type { DataPlane } from '../../shared/transport/transport.js';
import type { Rank } from '../../shared/sharding/identifiers.js';
import type { DataPlaneRequest } from './communicator.js';
import type { CoreEvents, CoreTransports } from './core-environment.js';
import { Flights } from './flights.js';
import { GenerationEnded } from './generation-ended.js';
import { JoinedGeneration, helloBytes, runTagOf } from './joined-generation.js';
import { RunMemory } from './run-memory.js';

/** More than a generation has workers. */
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
  /** The one that was joined last, until it is over. */
  #generation: JoinedGeneration | undefined;
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
    return this.#generation !== undefined;
  }

  get #joined(): JoinedGeneration {
    invariant(this.#generation, 'no generation has been joined');
    return this.#generation;
  }

  get engine(): CollectiveEngine {
    return this.#joined.engine;
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
    this.#membership = { generation: plan.generation, rank: plan.rank, worldSize: plan.workers.length };
    this.#state = 'running';
    const generation = new JoinedGeneration(plan, this.#request, this.#transports, data, {
      finished: (id) => {
        this.#flights?.landed(id, generation.engine.nameOf(id));
        this.#events.finished(id);
      },
      refused: (error) => this.#events.refused(error),
    });
    this.#generation = generation;
    generation.greet(data, {
      frame: (frame) => this.#onFrame(frame),
      disconnected: (lost) => this.#onPeerLost(lost),
    });
    for (const frame of this.#early.splice(0)) this.#onFrame(frame);
    generation.settle();
    return generation.connected;
  }

  /** See JoinedGeneration. */
  allocate(elementCount: number, provide: (place: Placement) => ArrayBufferLike): Vectors {
    return this.#joined.allocate(elementCount, provide);
  }

  register(spec: CollectiveSpec, buffers: CollectiveBuffers): void {
    this.engine.register(spec, buffers);
  }

  /** See JoinedGeneration. */
  registerPart(spec: CollectiveSpec, allocation: number, start: number): void {
    this.#joined.registerPart(spec, allocation, start);
  }

  start(collectiveId: number, step: number): void {
    // A main thread that hasn't heard yet that its generation is over.
    if (this.#failure || !this.#generation) return;
    this.#flights?.started(collectiveId, step);
    this.#generation.engine.start(collectiveId, step);
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    clearInterval(this.#heartbeat);
    clearTimeout(this.#verdict);
    this.#generation?.close();
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
    if (message.type === 'stop_generation') this.#onRegroup(message.generation);
    this.#events.message(message);
    if (message.type === 'abort') this.#fail(fromWireError(message.error));
  }

  /** A successor asks again for what its predecessor may have been told already. */
  #onRegroup(generation: number): void {
    const { lastCommitted } = this.#memory;
    if (generation > this.#ended) this.#endGeneration(generation);
    else if (lastCommitted?.generation === generation) this.send(lastCommitted);
  }

  /** Forgets everything that belongs to a membership. */
  #endGeneration(generation: number): void {
    if (generation <= this.#ended) return;
    this.#ended = generation;
    const over = this.#generation;
    this.#generation = undefined;
    clearTimeout(this.#verdict);
    this.#verdict = undefined;
    if (this.#state !== 'closed') this.#state = 'idle';
    over?.end(new GenerationEnded(generation));
    this.#events.ended(generation);
  }

  /** A worker that got its plan sooner says hello before this one knows of the generation. */
  #keepEarly(frame: Frame): boolean {
    if (frame.length !== 1 || frame[0]?.length !== helloBytes || this.#early.length >= earlyFrames)
      return false;
    const { phase, generation, runTag } = readHeader(frame);
    if (!this.#request || runTag !== runTagOf(this.#request.runId)) return false;
    if (phase !== 'hello' || generation <= Math.max(this.#ended, this.#generation?.plan.generation ?? 0))
      return false;
    this.#early.push(frame);
    return true;
  }

  #onFrame(frame: Frame): void {
    this.#frames++;
    try {
      if (this.#keepEarly(frame)) return;
      if (!this.#generation)
        throw new StaleGenerationError('Frame refused: no generation has been joined.', {
          kind: 'stale-generation',
        });
      this.#generation.receive(frame);
    } catch (error) {
      this.#refuse(error);
    }
  }

  #refuse(error: unknown): void {
    if (error instanceof OperationalError) this.#events.refused(error);
    else this.#fail(error instanceof Error ? error : new Error(String(error)));
  }

  #onPeerLost(rank: Rank): void {
    const plan = this.#generation?.plan;
    if (this.#state !== 'running' || this.#failure || !plan || !this.#request) return;
    const worker = plan.workers.find((other) => other.rank === rank);
    const who = `rank ${rank} (pid ${worker?.pid ?? '?'} on ${worker?.host ?? '?'})`;
    this.send({
      type: 'lost',
      generation: plan.generation,
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
        generation: this.#generation?.plan.generation ?? 0,
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
    const generation = this.#generation;
    if (waiting === 0 || !generation) return '';
    const name = generation.engine.nameOf(waiting);
    return [`${name} from another`, ...generation.missing()].join('; ').slice(0, 4_000);
  }

  #fail(error: Error): void {
    if (this.#failure || this.#state === 'closed') return;
    this.#failure = error;
    this.#events.failed(error);
  }
}
