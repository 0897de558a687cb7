/** The environment of a communicator's core: its transports, and callbacks for its events. */

import type { Arithmetic } from '../../shared/collectives/reduction.js';
import type { OperationalError } from '../../shared/errors.js';
import type { CoordinatorMessage } from '../../shared/protocol/messages.js';
import type { ControlClient, DataPlane } from '../../shared/transport/transport.js';
import type { DataPlaneRequest } from './communicator.js';

export interface CoreEvents {
  message(message: CoordinatorMessage): void;
  finished(collectiveId: number): void;
  failed(error: Error): void;
  /** The generation has ended. Its collectives do not finish any more. */
  ended(generation: number): void;
  /** A message or frame was refused. */
  refused(error: OperationalError): void;
  /** The main thread's progress counter. */
  ticks(): number;
  /** The collective that the main thread is blocked on; 0: none. */
  waiting(): number;
  /** Returns true if the launcher of this worker has ended, so that the worker is about to end as well. */
  isOrphan?(): boolean;
}

export interface CoreTransports {
  readonly control: ControlClient;
  openDataPlane(request: DataPlaneRequest): Promise<DataPlane>;
  /** Opens another worker's memory; undefined if this process cannot read it. */
  openMemory?(address: string | null): PeerMemory | undefined;
  readonly arithmetic?: Partial<Arithmetic> | undefined;
}

export interface PeerMemory {
  map(offset: number, bytes: number): ArrayBuffer;
  close(): void;
}
