/**
 * The HTTP server that a supervisor such as Kubernetes probes: `/healthz` and `/readyz`. It has no token and shows one word, so it
 * reveals nothing about the run. It has an address of its own, and its thread must not be blocked by computation.
 */

import { createServer } from 'node:http';
import { ConfigError, systemCode } from '../errors.js';
import { httpUrl, listen, parseHttpAddress, type HttpAddress } from './listen.js';

/** The answer to a probe: `ok`, or the reason for a refusal in one word. */
export type Health =
  'ok' | 'hung' | 'connecting' | 'loading' | 'standby' | 'starting' | 'failed' | 'finished';

export interface HealthProbes {
  /** `ok` unless only a restart helps. */
  live(): Health;
  /** `ok` if this process takes part in the run. */
  ready(): Health;
}

export interface HealthServer {
  readonly url: string;
  close(): Promise<void>;
}

/** Limits for clients, which need no more than one small request. */
const limits = {
  maxHeaderSize: 8_192,
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
} as const;
const maxConnections = 64;

/** @throws ConfigError for text that is no PORT or HOST:PORT */
export function parseHealthAddress(text: string): HttpAddress {
  const address = parseHttpAddress(text);
  if (address) return address;
  throw new ConfigError(`--health: expected a port or HOST:PORT, got "${text}".`);
}

/** @throws ConfigError if the address cannot be bound */
export async function openHealthServer(address: HttpAddress, probes: HealthProbes): Promise<HealthServer> {
  const server = createServer(limits, (request, response) => {
    // A body is not read, and a second request needs another connection.
    const headers = {
      'Content-Type': 'text/plain; charset=utf-8',
      'Cache-Control': 'no-store',
      Connection: 'close',
    };
    const [path] = (request.url ?? '').split('?');
    const probe = path === '/healthz' ? probes.live() : path === '/readyz' ? probes.ready() : undefined;
    const isRead = request.method === 'GET' || request.method === 'HEAD';
    const status = probe === undefined ? 404 : !isRead ? 405 : probe === 'ok' ? 200 : 503;
    const text = probe === undefined ? 'not found' : isRead ? probe : 'not allowed';
    response.writeHead(status, headers).end(request.method === 'HEAD' ? undefined : `${text}\n`);
  });
  server.maxConnections = maxConnections;
  try {
    // A probe that cannot be accepted is repeated by the supervisor.
    const port = await listen(server, address, () => undefined);
    server.unref();
    return {
      url: httpUrl({ ...address, port }),
      close: () =>
        new Promise((done) => {
          server.close(() => done());
          server.closeAllConnections();
        }),
    };
  } catch (cause) {
    throw new ConfigError(
      `--health: ${address.host}:${address.port} cannot be bound (${systemCode(cause) ?? String(cause)}). Choose another address.`,
      { ...address },
      cause,
    );
  }
}
