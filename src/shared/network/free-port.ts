/** Checks early, with an error that names the option, that a port given by the user can be bound. */

import { createServer } from 'node:net';
import { ConfigError, systemCode } from '../errors.js';

/**
 * @param option the option and its value, as the user wrote them
 * @throws ConfigError if another process uses the port, or this user may not bind it
 */
export async function requireFreePort(port: number, option: string): Promise<void> {
  const code = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(systemCode(error) ?? error.message));
    server.listen(port, () => server.close(() => resolve(undefined)));
  });
  if (code === undefined) return;
  const why = code === 'EADDRINUSE' ? 'one that another process uses' : `one that can't be bound (${code})`;
  throw new ConfigError(
    `Port ${port} for the other workers (${option}): expected a free port, got ${why}. ` +
      'Choose another base port, or end the process that holds this one.',
    { port },
  );
}
