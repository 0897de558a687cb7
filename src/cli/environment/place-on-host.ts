/** The place of a worker among the workers of its host. */

import { createHash, randomUUID } from 'node:crypto';
import { dirname } from 'node:path';
import { takeSlot } from '../../launcher/instance-slot.js';
import { privateEndpoint } from '../../launcher/socket-directory.js';
import { ConfigError } from '../../shared/errors.js';
import { socketPath } from '../../shared/security/endpoints.js';
import { environmentVariable, instanceNumber } from './environment.js';

export interface PlaceOnHost {
  /** Names the place for the coordinator; a process that replaces this one has the same. */
  readonly slot: string;
  /** Number of the place, counted from 0; undefined if it has none. */
  readonly number: number | undefined;
}

/**
 * Returns the place that the launcher or pm2 has assigned, else the lowest free one of the workers that were started by hand for this
 * coordinator.
 * @param given the launcher's slot
 */
export async function placeOnHost(given: string | undefined, coordinator: string): Promise<PlaceOnHost> {
  if (given !== undefined) return { slot: given, number: Number(given) };
  if (environmentVariable('NODE_APP_INSTANCE') !== undefined)
    return { slot: String(instanceNumber()), number: instanceNumber() };
  const group = createHash('sha256').update(coordinator).digest('hex').slice(0, 12);
  const folder = privateFolder();
  const number = folder === undefined ? undefined : await takeSlot(folder, group);
  // Without a number, losses at this place are not counted together with those of a replacement.
  return { slot: `hand-${number ?? randomUUID()}`, number };
}

/** Returns undefined if there is none: a worker that is told where its coordinator is needs no folder. */
function privateFolder(): string | undefined {
  try {
    return dirname(socketPath(privateEndpoint(environmentVariable('XDG_RUNTIME_DIR'))) ?? '');
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
