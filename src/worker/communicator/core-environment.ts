/** What a communicator's core is given: the transports that it speaks over, and who hears what it has to say. */

import type { Arithmetic } from '../../shared/collectives/reduction.js';
import type { OperationalError } from '../../shared/errors.js';
import type { CoordinatorMessage } from '../../shared/protocol/messages.js';
import type { ControlClient, DataPlane } from '../../shared/transport/transport.js';
import type { DataPlaneRequest } from './communicator.js';

export interface CoreEvents {
  message(message: CoordinatorMessage): void;
  finished(collectiveId: number): void;
  failed(error: Error): void;
  /** The generation is over; nothing of it finishes any more. */
  ended(generation: number): void;
  /** A message or frame was refused; for the log. */
  refused(error: OperationalError): void;
  /** How often the main thread has made progress. */
  ticks(): number;
  /** The collective that the main thread is blocked on; 0: none. */
  waiting(): number;
}

export interface CoreTransports {
  readonly control: ControlClient;
  openDataPlane(request: DataPlaneRequest): Promise<DataPlane>;
  /** Another worker's memory, if this process can read it. */
  openMemory?(address: string | null): PeerMemory | undefined;
  readonly arithmetic?: Partial<Arithmetic> | undefined;
}

export interface PeerMemory {
  map(offset: number, bytes: number): ArrayBuffer;
  close(): void;
}
