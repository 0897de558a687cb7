/** Finds the port at which the coordinator of a job listens. */

import { ConfigError } from '../../shared/errors.js';
import { bindingError } from '../../shared/network/free-port.js';
import { portAttempts } from '../platforms/job-port.js';

/**
 * Returns `first` or one of the ports after it. Task 0 publishes its choice, so all tasks use the same one.
 * @param attempts 1 if the other tasks compute the port for themselves
 * @throws ConfigError naming the ports, if none is free
 */
export async function freeJobPort(first: number, attempts = portAttempts): Promise<number> {
  const last = Math.min(65_535, first + attempts - 1);
  let code: string | undefined;
  for (let port = first; port <= last; port++) {
    code = await bindingError(port);
    if (code === undefined) return port;
  }
  const range = first === last ? `Port ${first}` : `Ports ${first} to ${last}`;
  const why = code === 'EADDRINUSE' ? 'other processes use them' : `they can't be bound (${code ?? ''})`;
  throw new ConfigError(
    `${range} for the coordinator of the job: expected a free port, got none: ${why}. Choose another one with MASTER_PORT.`,
    { first, last },
  );
}
