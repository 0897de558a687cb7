/**
 * The communicator of a single process: the same core over the memory transport, in the calling thread. With one worker
 * every exchange ends inside `start`, so `wait` never has to block.
 */

import type { ExchangeSpec } from '../../shared/collectives/exchange.js';
import { vectorOver, bytesPerElement } from '../../shared/collectives/reduction.js';
import { invariant } from '../../shared/errors.js';
import type { MemoryNetwork } from '../../shared/transport/memory.js';
import type { ControlClient } from '../../shared/transport/transport.js';
import type { Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import { CommunicatorCore } from './communicator-core.js';
import type { Communicator, CommunicatorEvents, DataPlaneRequest, ExchangeHandle } from './communicator.js';

export class InlineCommunicator implements Communicator {
  readonly #core: CommunicatorCore;
  #events: CommunicatorEvents | undefined;
  #finished = new Set<number>();
  #failure: Error | undefined;
  #registered = 0;
  #ticks = 0;

  constructor(control: ControlClient, network: MemoryNetwork) {
    this.#core = new CommunicatorCore(
      { control, openDataPlane: () => Promise.resolve(network.open()) },
      {
        message: (message) => this.#events?.message(message),
        finished: (id) => this.#finished.add(id),
        failed: (error) => {
          this.#failure = error;
          this.#events?.failed(error);
        },
        refused: (error) => this.#events?.failed(error),
        ticks: () => this.#ticks,
      },
    );
  }

  listen(events: CommunicatorEvents): void {
    this.#events = events;
  }

  send(message: WorkerMessage): void {
    this.#core.send(message);
  }

  openDataPlane(request: DataPlaneRequest): Promise<string> {
    return this.#core.openDataPlane(request);
  }

  join(plan: Plan): Promise<void> {
    invariant(plan.workers.length === 1, 'a single process is one worker');
    return this.#core.join(plan);
  }

  register(partial: Omit<ExchangeSpec, 'id'>): ExchangeHandle {
    const spec: ExchangeSpec = { ...partial, id: ++this.#registered };
    const { start, end } = this.#core.engine.mesh.localShards;
    const bytes = spec.elementCount * bytesPerElement(spec.reduction);
    const inputs = Array.from({ length: end - start }, () =>
      vectorOver(spec.reduction, new ArrayBuffer(bytes)),
    );
    const output = vectorOver(spec.reduction, new ArrayBuffer(bytes));
    this.#core.register(spec, { inputs, output });
    return {
      spec,
      inputs,
      output,
      start: (step) => {
        this.#finished.delete(spec.id);
        this.#core.start(spec.id, step);
      },
      wait: () => {
        if (this.#failure) throw this.#failure;
        invariant(this.#finished.has(spec.id), `${spec.name} did not finish`);
      },
    };
  }

  tick(): void {
    this.#ticks++;
  }

  close(): Promise<void> {
    return this.#core.close();
  }
}
