/** The address of a worker's health server. */

import { parseHealthAddress } from '../../shared/http/health-server.js';
import type { HttpAddress } from '../../shared/http/listen.js';

/**
 * Returns null without `--health`. Equal processes that pm2 starts with the same options have consecutive ports.
 * @throws ConfigError for text that is no address
 */
export function workerHealthAddress(text: string | undefined, instance: number): HttpAddress | null {
  if (text === undefined) return null;
  const { host, port } = parseHealthAddress(text);
  return { host, port: port === 0 ? 0 : port + instance };
}
