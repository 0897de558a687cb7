/**
 * What the main thread and the communicator thread say to each other, and the words of shared memory between them.
 *
 * Requests go by MessagePort, because `Atomics.waitAsync` in a worker thread loses wake-ups (Node 20.20). Answers that
 * the main thread blocks on come through the state array: `Atomics.wait` sees the value change, so none can be missed.
 */

import type { MessagePort } from 'node:worker_threads';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import type { WireError } from '../../shared/errors.js';
import type { CoordinatorMessage, Plan, WorkerMessage } from '../../shared/protocol/messages.js';
import type { RequestedLinkFault } from '../faults/fault-injector.js';
import type { DataPlaneRequest } from './communicator.js';
import type { WorkerTransportOptions } from './worker-transports.js';

/** Words of the state array (Int32). */
export const words = {
  /** Not 0 once nothing finishes any more: the generation or the run is over; the reason is in the port `failures`. */
  failed: 0,
  /** Grows with the main thread's progress. */
  ticks: 1,
  /** The collective that the main thread is blocked on; 0: none. */
  waiting: 2,
  /** Word `collectives + id` counts the finished uses of a collective; negative once the run has failed. */
  collectives: 3,
} as const;

export const maxCollectives = 4_096;

export interface ThreadOptions extends WorkerTransportOptions {
  /** File of the addon for shared memory. */
  readonly memoryAddon: string | undefined;
  readonly state: SharedArrayBuffer;
  /** Carries the reason (Interruption) to a main thread that is blocked and has no event loop. */
  readonly failures: MessagePort;
  /** After a failure the main thread has so long to end by itself; then the process is killed. */
  readonly graceMs: number;
}

/** Why nothing finishes any more. */
export type Interruption = { kind: 'ended'; generation: number } | { kind: 'failed'; error: WireError };

export type ToThread =
  | { kind: 'send'; message: WorkerMessage }
  | { kind: 'open'; request: DataPlaneRequest; memory: number | undefined }
  | { kind: 'join'; plan: Plan }
  | { kind: 'register'; spec: CollectiveSpec; inputs: SharedArrayBuffer[]; output: SharedArrayBuffer }
  /** Without a buffer: in this process's shared memory, at the place that follows from the plan. */
  | { kind: 'allocate'; elementCount: number; buffer: SharedArrayBuffer | undefined }
  | { kind: 'registerPart'; spec: CollectiveSpec; allocation: number; start: number }
  | { kind: 'start'; id: number; step: number }
  /** Only where the thread was started with `linkFaults`. */
  | { kind: 'link-fault'; fault: RequestedLinkFault }
  | { kind: 'close' };

export type FromThread =
  | { kind: 'message'; message: CoordinatorMessage }
  | { kind: 'opened'; endpoint: string; publicKey?: string | undefined }
  | { kind: 'joined'; sharing: boolean }
  | { kind: 'refused'; code: string; message: string }
  | Interruption;
