/** The health of a process that leads a run: `lockstep coordinator`, or `lockstep train` for the whole run. */

import { openHealthServer, parseHealthAddress, type Health } from '../../shared/http/health-server.js';
import type { RunEvent } from '../../shared/runs/run-events.js';

/**
 * The point at which the process is ready. `listening`: workers can join; a service then sends them to this coordinator. `training`: the
 * training has started, with the workers that `train` starts itself.
 */
export type ReadyAt = 'listening' | 'training';

/** Receives the events of a run, and answers probes. */
export interface RunHealth {
  /** Address of the server, with a slash at its end. */
  readonly url: string;
  emit(event: RunEvent): void;
  /** The coordinator accepts workers. */
  listening(): void;
  close(): Promise<void>;
}

/**
 * Returns undefined without `--health`. The event loop of the process answers the probes, so each answer shows that it turns.
 * @throws ConfigError if the address cannot be used
 */
export async function openRunHealth(
  address: string | undefined,
  readyAt: ReadyAt,
): Promise<RunHealth | undefined> {
  if (address === undefined) return undefined;
  let ready: Health = 'starting';
  const server = await openHealthServer(parseHealthAddress(address), {
    live: () => 'ok',
    ready: () => ready,
  });
  return {
    url: server.url,
    emit: ({ event }) => {
      if (event === 'start' && readyAt === 'training') ready = 'ok';
      if (event === 'done') ready = 'finished';
      if (event === 'error') ready = 'failed';
    },
    listening: () => {
      if (ready === 'starting' && readyAt === 'listening') ready = 'ok';
    },
    close: () => server.close(),
  };
}
