/**
 * The protocol between the main thread and the communicator thread: messages, and an Int32 array in shared memory.
 *
 * The main thread sends requests as messages, because `Atomics.waitAsync` in a worker thread loses wake-ups (Node 20.20). The thread
 * answers by changes of the array while the main thread is blocked. `Atomics.wait` compares the value before it blocks, so no change is
 * missed.
 */

import type { MessagePort } from 'node:worker_threads';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import type { WireError } from '../../shared/errors.js';
import type { HttpAddress } from '../../shared/http/listen.js';
import type { CoordinatorMessage, Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import type { RequestedLinkFault } from '../faults/fault-injector.js';
import type { ArtefactAnswer, ArtefactRequest } from './artefact-exchange.js';
import type { DataPlaneRequest } from './communicator.js';
import type { WorkerTransportOptions } from './worker-transports.js';

/** Indices of the state array. */
export const stateIndex = {
  /** Non-zero once the generation or the run has ended. No collective finishes any more. The port `failures` has the reason. */
  interrupted: 0,
  /** The main thread's progress counter. */
  ticks: 1,
  /** The collective that the main thread is blocked on; 0: none. */
  waiting: 2,
  /** Counts turns of the main thread's event loop, if the worker's health is observed. */
  turns: 3,
  /** Element `collectives + id` counts the finished rounds of collective `id`; -1 while `interrupted` is set. */
  collectives: 4,
} as const;

export const maxCollectives = 4_096;

/**
 * Counts a round of a collective as finished, and wakes the main thread. After an interruption nothing is counted: frames of peers can still
 * complete a round, and a counter that left its negative value would look unchanged to a main thread that is about to block on it.
 */
export function countRound(state: Int32Array<SharedArrayBuffer>, collectiveId: number): void {
  if (Atomics.load(state, stateIndex.interrupted) !== 0) return;
  Atomics.add(state, stateIndex.collectives + collectiveId, 1);
  Atomics.notify(state, stateIndex.collectives + collectiveId);
}

/** Wakes the main thread from a wait for any collective, until `ThreadState.reset`. */
export function interruptRounds(state: Int32Array<SharedArrayBuffer>): void {
  Atomics.store(state, stateIndex.interrupted, 1);
  for (let id = 0; id < maxCollectives; id++) {
    Atomics.store(state, stateIndex.collectives + id, -1);
    Atomics.notify(state, stateIndex.collectives + id);
  }
}

export interface ThreadOptions extends WorkerTransportOptions {
  /** File of the addon for shared memory. */
  readonly memoryAddon: string | undefined;
  readonly state: SharedArrayBuffer;
  /** Carries the reason (Interruption) to a main thread that is blocked and runs no event loop. */
  readonly failures: MessagePort;
  /** Address of the health server; null: there is none. */
  readonly health: HttpAddress | null;
  /** Time after a failure in which the main thread must end the process. After that the communicator thread kills the process. */
  readonly graceMs: number;
  /** PID of the process that has started this one, if this worker ends with it. */
  readonly launcherPid: number | undefined;
}

/** The reason why collectives do not finish any more. */
export type Interruption = { kind: 'ended'; generation: number } | { kind: 'failed'; error: WireError };

export type ToThread =
  | { kind: 'send'; message: WorkerMessage }
  | { kind: 'open'; request: DataPlaneRequest; memory: number | undefined }
  | { kind: 'join'; plan: Plan }
  | { kind: 'register'; spec: CollectiveSpec; inputs: SharedArrayBuffer[]; output: SharedArrayBuffer }
  /** If `buffer` is undefined, the allocation is in this process's shared memory, at the region that follows from the plan. */
  | { kind: 'allocate'; elementCount: number; buffer: SharedArrayBuffer | undefined }
  | { kind: 'register-slice'; spec: CollectiveSpec; allocation: number; start: number }
  | { kind: 'start'; id: number; step: number }
  /** Answered by `transferred` with the same id. */
  | { kind: 'transfer'; id: number; request: ArtefactRequest }
  /** Only to a thread that was started with `linkFaults`. */
  | { kind: 'link-fault'; fault: RequestedLinkFault }
  /** The main thread has to end; see `graceMs`. */
  | { kind: 'abandon' }
  | { kind: 'close' };

export type FromThread =
  | { kind: 'message'; message: CoordinatorMessage }
  | { kind: 'opened'; endpoint: string; publicKey?: string | undefined }
  | { kind: 'joined'; sharesMemory: boolean }
  | { kind: 'refused'; code: string; message: string }
  /** The health server listens. */
  | { kind: 'health'; url: string }
  | { kind: 'transferred'; id: number; answer: ArtefactAnswer }
  | { kind: 'not-transferred'; id: number; error: WireError }
  | Interruption;
