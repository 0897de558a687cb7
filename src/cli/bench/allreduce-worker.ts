/** One process of `lockstep bench allreduce`: repeats the collectives of a training step and measures their duration. */

import type { CollectiveChoice } from '../../shared/collectives/cost.js';
import { bytesPerElement, reductionOf } from '../../shared/collectives/reduction.js';
import { oneHopBytes } from '../../shared/collectives/mesh.js';
import type { RunConfig } from '../../shared/config/run-config.js';
import { InvariantError } from '../../shared/errors.js';
import type { Plan } from '../../shared/protocol/messages.js';
import { median } from '../../shared/arithmetic/quantile.js';
import type { DataPlaneAddress, CollectiveHandle } from '../../worker/communicator/communicator.js';
import { ThreadCommunicator } from '../../worker/communicator/thread-communicator.js';
import { findMemoryAddon } from '../../worker/engine/cache.js';
import { currentEngineHost } from '../environment/environment.js';

export interface AllreduceTask {
  readonly coordinator: string;
  readonly runId: string;
  readonly socketDirectory: string | null;
  /** Sizes of the float32 vectors, in bytes. */
  readonly sizes: readonly number[];
  readonly rounds: number;
  readonly sharedMemory: boolean;
  readonly collective: CollectiveChoice;
  readonly gradientDtype: RunConfig['gradientDtype'];
  /** Large vectors are divided into buckets, as the gradient of a training step is. */
  readonly bucketBytes: number;
}

export type ToBenchWorker =
  { readonly kind: 'task'; readonly task: AllreduceTask } | { readonly kind: 'plan'; readonly plan: Plan };

export type FromBenchWorker =
  | { readonly kind: 'ready'; readonly address: DataPlaneAddress }
  | {
      readonly kind: 'done';
      readonly results: readonly { microseconds: number; memcpyMicroseconds: number }[];
    };

const hourMs = 3_600_000;

async function work(task: AllreduceTask, planned: Promise<Plan>): Promise<void> {
  const communicator = new ThreadCommunicator({
    coordinator: task.coordinator,
    memoryAddon: findMemoryAddon(currentEngineHost()),
  });
  communicator.listen({
    message: () => undefined,
    failed: (error) => {
      throw error;
    },
  });
  const address = await communicator.openDataPlane({
    runId: task.runId,
    socketDirectory: task.socketDirectory,
    maxFrameBytes: 2 ** 31 - 1,
    heartbeatMs: hourMs,
    coordinatorTimeoutMs: 2 * hourMs,
    sharedMemory: task.sharedMemory,
    collective: task.collective,
    trace: false,
  });
  send({ kind: 'ready', address });
  const plan = await planned;
  communicator.begin(await communicator.join(plan));
  const handles = task.sizes.map((bytes) => register(communicator, bytes, task));
  const results = handles.map((parts, i) => {
    const own = plan.rank + 1;
    const times: number[] = [];
    for (let round = 1; round <= task.rounds; round++) {
      for (const part of parts) part.inputs[0]?.fill(own);
      const start = performance.now();
      for (const part of parts) part.start(round);
      for (const part of parts) part.wait();
      times.push(performance.now() - start);
    }
    const expected = (plan.workers.length * (plan.workers.length + 1)) / 2;
    if (!parts.every(({ output }) => output.every((value) => value === expected)))
      throw new InvariantError(`all-reduce: expected ${expected} everywhere`);
    return { microseconds: 1000 * median(times), memcpyMicroseconds: 1000 * copyTime(task.sizes[i] ?? 0) };
  });
  send({ kind: 'done', results });
}

function register(
  communicator: ThreadCommunicator,
  bytes: number,
  { gradientDtype, bucketBytes }: AllreduceTask,
): CollectiveHandle[] {
  const reduction = reductionOf(gradientDtype);
  const elements = Math.floor(bytes / bytesPerElement(reduction));
  if (bytes <= oneHopBytes)
    return [communicator.register({ name: `bench/${bytes}`, reduction, elementCount: elements })];
  const allocation = communicator.allocate(elements);
  const handles: CollectiveHandle[] = [];
  const capacity = Math.floor(bucketBytes / bytesPerElement(reduction));
  for (let start = 0; start < elements; start += capacity) {
    const elementCount = Math.min(capacity, elements - start);
    const name = `bench/${bytes}/${start}`;
    handles.push(communicator.register({ name, reduction, elementCount }, { allocation, start }));
  }
  return handles;
}

function copyTime(bytes: number): number {
  const [from, to] = [Buffer.alloc(bytes, 1), Buffer.alloc(bytes, 2)];
  const times: number[] = [];
  for (let round = 0; round < 20; round++) {
    const start = performance.now();
    from.copy(to);
    times.push(performance.now() - start);
  }
  return median(times);
}

function send(message: FromBenchWorker): void {
  process.send?.(message);
}

let plan: ((plan: Plan) => void) | undefined;
const planned = new Promise<Plan>((resolve) => (plan = resolve));
process.on('message', (message: ToBenchWorker) => {
  if (message.kind === 'plan') plan?.(message.plan);
  else
    work(message.task, planned).catch((error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    });
});
process.once('disconnect', () => process.exit(1));
