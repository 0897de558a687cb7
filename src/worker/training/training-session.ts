/** The objects that a worker's training uses from its first generation to its last. Types only. */

import type { Checkpoints } from '../checkpoint/checkpoints.js';
import type { Communicator } from '../communicator/communicator.js';
import type { BitFlip } from '../faults/bit-flip.js';
import type { FaultInjector } from '../faults/fault-injector.js';
import type { Mailbox } from '../mailbox.js';
import type { RunStorage } from '../storage/run-storage.js';
import type { Replica } from './replica.js';
import type { TrainingState } from './training-state.js';

export interface TrainingSession {
  /** The id with which this worker has joined. */
  readonly workerId: string;
  readonly replica: Replica;
  readonly communicator: Communicator;
  readonly mailbox: Mailbox;
  readonly checkpoints: Checkpoints;
  readonly storage: RunStorage;
  /** Undefined unless the launcher requested faults. */
  readonly faults: FaultInjector | undefined;
  readonly bitFlip: BitFlip | undefined;
  /** Shows a warning to the user. */
  readonly warn: (message: string) => void;
}

/** A worker's progress, kept from one generation to the next. */
export interface Progress {
  /** The last step that this replica has committed; 0 before the first one. */
  step: number;
  /** Undefined until the first generation is joined. */
  state: TrainingState | undefined;
  /** The run's folder; null if the run writes no files. */
  out: string | null;
  /** True once this worker has been rank 0. It has then sent the model's layers, if there are at most `maxLayers`. */
  topologySent: boolean;
}
