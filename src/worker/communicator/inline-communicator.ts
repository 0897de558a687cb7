/**
 * The communicator of a single process. Runs the core in the main thread over the in-memory transport. With one worker every
 * collective finishes inside `start`, so `wait` never blocks.
 */

import type { CollectiveBuffers, CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import {
  vectorOver,
  bytesPerElement,
  type Arithmetic,
  type Vector,
} from '../../shared/collectives/reduction.js';
import { sliceOf } from '../../shared/collectives/vector-layout.js';
import { invariant } from '../../shared/errors.js';
import type { MemoryNetwork } from '../../shared/transport/memory.js';
import type { ControlClient } from '../../shared/transport/transport.js';
import type { Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import { ArtefactExchange, type ArtefactAnswer, type ArtefactRequest } from './artefact-exchange.js';
import { CommunicatorCore } from './communicator-core.js';
import { GenerationEnded } from './generation-ended.js';
import type { JoinedGeneration } from './joined-generation.js';
import type {
  Allocation,
  AllocationSlice,
  Communicator,
  CommunicatorEvents,
  DataPlaneAddress,
  DataPlaneRequest,
  CollectiveHandle,
} from './communicator.js';

export class InlineCommunicator implements Communicator {
  readonly #core: CommunicatorCore;
  readonly #exchange: ArtefactExchange;
  #events: CommunicatorEvents | undefined;
  #finished = new Set<number>();
  #failure: Error | undefined;
  /** The last generation that has ended. */
  #ended = 0;
  #registered = 0;
  #allocated = 0;
  #ticks = 0;

  constructor(control: ControlClient, network: MemoryNetwork, arithmetic?: Partial<Arithmetic>) {
    this.#exchange = new ArtefactExchange({
      send: (message) => this.#core.send(message),
      onPiece: () => this.tick(),
    });
    this.#core = new CommunicatorCore(
      { control, openDataPlane: () => Promise.resolve(network.open()), arithmetic },
      {
        message: (message) => {
          if (!this.#exchange.receive(message)) this.#events?.message(message);
        },
        finished: (id) => this.#finished.add(id),
        failed: (error) => this.#fail(error),
        // The mailbox receives `stop_generation` itself, and no `wait` is blocked.
        ended: (generation) => (this.#ended = generation),
        // Inside one process no message can be damaged.
        refused: (error) => this.#fail(error),
        ticks: () => this.#ticks,
        waiting: () => 0,
      },
    );
  }

  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#exchange.fail(error);
    this.#events?.failed(error);
  }

  listen(events: CommunicatorEvents): void {
    this.#events = events;
    if (this.#failure) events.failed(this.#failure);
  }

  send(message: WorkerMessage): void {
    this.#core.send(message);
  }

  get #generation(): JoinedGeneration {
    const { generation } = this.#core;
    if (!generation && this.#ended > 0) throw new GenerationEnded(this.#ended);
    invariant(generation, 'no generation has been joined');
    return generation;
  }

  async openDataPlane(request: DataPlaneRequest): Promise<DataPlaneAddress> {
    return { ...(await this.#core.openDataPlane(request)), memory: null };
  }

  async join(plan: Plan): Promise<boolean> {
    invariant(plan.workers.length === 1, 'a single process is one worker');
    await this.#core.join(plan);
    return false;
  }

  /** Ignores whether memory is shared, because there is only one worker. */
  begin(): void {
    this.#ticks++;
  }

  allocate(elementCount: number): Allocation {
    const vectors = this.#generation.allocate(elementCount, ({ bytes }) => new ArrayBuffer(bytes));
    return { ...vectors, index: this.#allocated++ };
  }

  register(partial: Omit<CollectiveSpec, 'id'>, within?: AllocationSlice): CollectiveHandle {
    const spec: CollectiveSpec = { ...partial, id: ++this.#registered };
    const buffers = within
      ? sliceOf(within.allocation, within.start, spec.elementCount)
      : this.#ownBuffers(spec);
    if (within) this.#generation.registerSlice(spec, within.allocation.index, within.start);
    else this.#generation.register(spec, buffers);
    return {
      spec,
      ...buffers,
      start: (step) => {
        this.#finished.delete(spec.id);
        this.#core.start(spec.id, step);
      },
      wait: () => {
        if (this.#failure) throw this.#failure;
        if (!this.#core.generation) throw new GenerationEnded(this.#ended);
        invariant(this.#finished.has(spec.id), `${spec.name} did not finish`);
      },
    };
  }

  #ownBuffers({ elementCount, reduction }: CollectiveSpec): CollectiveBuffers {
    const { start, end } = this.#generation.engine.mesh.localShards;
    const vector = (): Vector =>
      vectorOver(reduction, new ArrayBuffer(elementCount * bytesPerElement(reduction)));
    return { inputs: Array.from({ length: end - start }, vector), output: vector() };
  }

  tick(): void {
    this.#ticks++;
  }

  transfer(request: ArtefactRequest): Promise<ArtefactAnswer> {
    return this.#exchange.perform(request);
  }

  close(): Promise<void> {
    this.#exchange.close();
    return this.#core.close();
  }
}
