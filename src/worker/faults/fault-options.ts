/**
 * Faults that the launcher requests of a worker, for tests and `lockstep chaos`. They reach a worker by its command line and are
 * part of neither the configuration, nor the protocol, nor a checkpoint.
 */

import type { BitFlip } from './bit-flip.js';
import type { InjectLinkFault } from './fault-injector.js';

export interface FaultOptions {
  /** Folder of fault requests (shared/faults/fault-request.ts). */
  readonly requests?: string | undefined;
  readonly bitFlip?: BitFlip | undefined;
  /** Injects a fault into one of the worker's links; undefined: it has none, and requests for links stay pending. */
  readonly injectLinkFault?: InjectLinkFault | undefined;
}
