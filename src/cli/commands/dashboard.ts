/** `lockstep dashboard`: serves the charts of earlier runs until it is interrupted. */

import { existsSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseAddress } from '../../dashboard/access.js';
import { openDashboard } from '../../dashboard/server.js';
import { ConfigError } from '../../shared/errors.js';
import { eventsName } from '../../shared/runs/read-events.js';
import { dashboardToken } from '../environment/environment.js';
import { exitStatus } from '../../shared/exit-status.js';

export interface DashboardFlags {
  readonly listen?: string;
}

/**
 * Resolves with the exit status.
 * @param folder folder of runs, or of one run
 * @throws ConfigError
 */
export async function dashboard(folder: string, { listen }: DashboardFlags): Promise<number> {
  const path = resolve(folder);
  if (!existsSync(path))
    throw new ConfigError(`Folder ${path} does not exist. Train first, or name another one.`);
  const one = existsSync(join(path, eventsName));
  const server = await openDashboard({
    address: parseAddress(listen ?? true),
    token: dashboardToken(),
    runs: one ? dirname(path) : path,
    live: null,
    warn: (message) => void process.stderr.write(`Warning: ${message}\n`),
  });
  const hash = one ? `#run=${encodeURIComponent(basename(path))}` : '';
  process.stdout.write(`Dashboard: ${server.entrance}${hash}\n`);
  await new Promise<void>((stop) => {
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
  });
  await server.close();
  return exitStatus.done;
}
