/**
 * Several workers in one process, one after the other. The run of a single worker records what each shard contributes to each
 * collective, and the result. A worker of a larger run then computes its own shards, must contribute the same bits, must wait for the
 * same collectives in the same order, and receives the recorded results. If every worker does, a real run of these workers has the
 * same results and no deadlock: the sums do not depend on the division into workers, which test/property/collectives.test.ts
 * asserts, and when each worker has started the collective that all wait for, it finishes.
 */

import type { CollectiveSpec } from '../../src/shared/collectives/collective-spec.js';
import { vectorOver, bytesPerElement, type Vector } from '../../src/shared/collectives/reduction.js';
import { bytesOf, sliceOf, vectorsIn } from '../../src/shared/collectives/vector-layout.js';
import type { Range } from '../../src/shared/sharding/identifiers.js';
import type {
  Allocation,
  AllocationSlice,
  CollectiveHandle,
  Communicator,
} from '../../src/worker/communicator/communicator.js';

/** One round of one collective in the run of a single worker. */
interface Round {
  readonly step: number;
  /** The contribution of each shard. */
  readonly inputs: readonly Vector[];
  readonly output: Vector;
}

export class Recording {
  /** The rounds of each collective, by the order of registration: names of layers differ between two models in one process. */
  readonly rounds: Round[][] = [];
  /** The name of each collective, in the same order. */
  readonly names: string[] = [];
  /** The collectives that were waited for, in order. */
  readonly waits: number[] = [];

  /** The gradient of the mean loss in `step`, flat, in backward order. */
  gradient(step: number): Float32Array {
    const buckets = this.rounds.filter((_, i) => this.names[i]?.startsWith('gradients/'));
    const parts = buckets.flatMap((rounds) =>
      rounds.flatMap((round) => (round.step === step ? [[...(round.output as Float32Array)]] : [])),
    );
    return Float32Array.from(parts.flat());
  }
}

type Partial = Omit<CollectiveSpec, 'id'>;

/** Adds every round of the collectives of `communicator` to `recording`. */
export function recordingCommunicator(communicator: Communicator, recording: Recording): Communicator {
  const register = (partial: Partial, within?: AllocationSlice): CollectiveHandle => {
    const handle = communicator.register(partial, within);
    const rounds: Round[] = [];
    const index = recording.rounds.push(rounds) - 1;
    recording.names.push(partial.name);
    return {
      ...handle,
      start: (step) => {
        const inputs = handle.inputs.map((vector) => vector.slice());
        handle.start(step);
        rounds.push({ step, inputs, output: handle.output.slice() });
      },
      wait: () => {
        recording.waits.push(index);
        handle.wait();
      },
    };
  };
  return {
    listen: communicator.listen.bind(communicator),
    send: communicator.send.bind(communicator),
    openDataPlane: communicator.openDataPlane.bind(communicator),
    join: communicator.join.bind(communicator),
    begin: communicator.begin.bind(communicator),
    tick: communicator.tick.bind(communicator),
    transfer: communicator.transfer.bind(communicator),
    close: communicator.close.bind(communicator),
    allocate: communicator.allocate.bind(communicator),
    register,
  };
}

/** The communicator of a worker with the shards `local`, whose peers behave as recorded. */
export class ReplayingCommunicator implements Communicator {
  readonly #recording: Recording;
  readonly #local: Range;
  readonly #started: number[] = [];
  #waits = 0;
  #allocated = 0;

  constructor(recording: Recording, local: Range) {
    this.#recording = recording;
    this.#local = local;
  }

  /** Asserts that this worker took part in all rounds. */
  finish(): void {
    const { rounds, waits } = this.#recording;
    const counts = rounds.map(({ length }) => length);
    if (counts.join() !== this.#started.join() || waits.length !== this.#waits)
      throw this.#error(`expected rounds ${counts.join()}, got ${this.#started.join()}`);
  }

  allocate(elementCount: number): Allocation {
    const memory = new ArrayBuffer(bytesOf(this.#local, elementCount));
    return { ...vectorsIn(memory, this.#local, elementCount), index: this.#allocated++ };
  }

  register(partial: Partial, within?: AllocationSlice): CollectiveHandle {
    const { name, reduction, elementCount } = partial;
    const index = this.#started.push(0) - 1;
    const vector = (): Vector =>
      vectorOver(reduction, new ArrayBuffer(elementCount * bytesPerElement(reduction)));
    const { start, end } = this.#local;
    const buffers = within
      ? sliceOf(within.allocation, within.start, elementCount)
      : { inputs: Array.from({ length: end - start }, vector), output: vector() };
    let current: Round | undefined;
    return {
      spec: { ...partial, id: index + 1 },
      ...buffers,
      start: (step) => {
        current = this.#start(name, index, step, buffers.inputs);
        buffers.output.fill(Number.NaN);
      },
      wait: () => {
        const expected = this.#recording.waits[this.#waits++];
        if (!current || expected !== index)
          throw this.#error(
            `expected a wait for collective ${String(expected)}, got one for ${index} (${name})`,
          );
        buffers.output.set(current.output);
      },
    };
  }

  #start(name: string, index: number, step: number, inputs: readonly Vector[]): Round {
    const round = this.#recording.rounds[index]?.[this.#started[index] ?? 0];
    this.#started[index] = (this.#started[index] ?? 0) + 1;
    if (round?.step !== step)
      throw this.#error(`${name}: expected a round of step ${String(round?.step)}, got one of step ${step}`);
    for (const [i, input] of inputs.entries()) {
      const shard = this.#local.start + i;
      if (!sameBits(input, round.inputs[shard]))
        throw this.#error(
          `${name} of step ${step}: shard ${shard} contributes other values than in a single process`,
        );
      // A collective overwrites its inputs.
      input.fill(Number.NaN);
    }
    return round;
  }

  #error(problem: string): Error {
    return new Error(`Worker with shards ${this.#local.start} to ${this.#local.end - 1}: ${problem}.`);
  }

  listen(): void {
    throw this.#error('has no connections');
  }

  openDataPlane(): Promise<never> {
    return Promise.reject(this.#error('has no connections'));
  }

  join(): Promise<never> {
    return Promise.reject(this.#error('has no connections'));
  }

  begin(): void {
    // The way in which a collective is computed has no effect here.
  }

  send(): void {
    // There is no coordinator.
  }

  tick(): void {
    // There are no deadlines.
  }

  transfer(): Promise<never> {
    return Promise.reject(this.#error('has no coordinator'));
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const bytesIn = ({ buffer, byteOffset, byteLength }: Vector): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength);

function sameBits(one: Vector, other: Vector | undefined): boolean {
  return other !== undefined && bytesIn(one).equals(bytesIn(other));
}
