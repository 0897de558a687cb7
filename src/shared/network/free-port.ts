/** Checks early whether a port can be bound. */

import { createServer } from 'node:net';
import { ConfigError, systemCode } from '../errors.js';

/** Returns undefined if the port can be bound, else the code of the system's error. */
export function bindingError(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(systemCode(error) ?? error.message));
    server.listen(port, () => server.close(() => resolve(undefined)));
  });
}

/**
 * @param option the option and its value, as the user wrote them
 * @throws ConfigError if another process uses the port, or this user may not bind it
 */
export async function requireFreePort(port: number, option: string): Promise<void> {
  const code = await bindingError(port);
  if (code === undefined) return;
  const why = code === 'EADDRINUSE' ? 'one that another process uses' : `one that can't be bound (${code})`;
  throw new ConfigError(
    `Port ${port} for the other workers (${option}): expected a free port, got ${why}. ` +
      'Choose another base port, or end the process that holds this one.',
    { port },
  );
}
