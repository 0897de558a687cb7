/** The entry of the list of events for a new generation. */

import type { EventOf } from './run-update.js';

export function describeGeneration({ workers, seconds }: EventOf<'generation'>): string {
  return `Continues with ${workers.length} ${workers.length === 1 ? 'worker' : 'workers'} after ${seconds.toFixed(1)} s`;
}
