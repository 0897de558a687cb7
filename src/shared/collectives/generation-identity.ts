/** The identity of a generation. Every frame carries it, so that frames of other runs and generations are refused. */

import type { Generation } from '../sharding/identifiers.js';

export interface GenerationIdentity {
  readonly runTag: bigint;
  readonly generation: Generation;
}

/** The first 8 bytes of the run's id (a UUID). */
export function runTagOf(runId: string): bigint {
  return BigInt(`0x${runId.replaceAll('-', '').slice(0, 16)}`);
}
