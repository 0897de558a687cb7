/** The address of a job's coordinator as every task computes it from the environment. */

import type { Placement } from '../../launcher/platforms/platform.js';
import { ConfigError } from '../../shared/errors.js';
import { defaultPort, formatTcp } from '../../shared/network/address.js';

/** @throws ConfigError if the environment does not name the host of task 0 */
export function givenEndpoint({ job, coordinatorHost, coordinatorPort }: Placement): {
  readonly endpoint: string;
  readonly port: number;
} {
  if (coordinatorHost === null)
    throw new ConfigError(
      `${job} with --keys: expected the host of task 0 in the environment, got none. Set MASTER_ADDR, and MASTER_PORT if ${defaultPort} is taken; ` +
        'or leave the keys out, and the tasks meet in the folder of the run.',
    );
  const port = coordinatorPort ?? defaultPort;
  return { endpoint: formatTcp({ host: coordinatorHost, port }), port };
}
