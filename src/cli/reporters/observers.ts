/**
 * What watches a run besides its log and the people at the terminal: opened before the run, told of every event. Loaded only when
 * asked for: a web server and protocol buffers have no business in every start.
 */

import { basename, dirname, join, resolve } from 'node:path';
import { parseAddress } from '../../dashboard/access.js';
import type { Dashboard } from '../../dashboard/server.js';
import { readEvents } from '../../shared/runs/read-events.js';
import { dashboardToken, host } from '../options/environment.js';
import { openReporters, type Observer, type ReporterOptions, type Reporters } from './reporters.js';

export interface WatchedOptions extends Omit<ReporterOptions, 'observers'> {
  readonly dashboard: string | true | undefined;
  readonly tensorboard: string | true | undefined;
}

/** Opens the reporters, and what else is asked for. @throws ConfigError when a folder or an address can't be had */
export async function openWatchedReporters(options: WatchedOptions): Promise<Reporters> {
  const { dashboard: address, tensorboard: folder, out } = options;
  const dashboard = address === undefined ? undefined : await openRunDashboard(address, options);
  const observers: Observer[] = dashboard ? [dashboard] : [];
  try {
    const tensorboard =
      folder === undefined
        ? undefined
        : new (await import('../../tensorboard/tensorboard-log.js')).TensorboardLog({
            directory: folder === true ? join(out, 'tensorboard') : resolve(folder),
            ...{ host, startMs: Date.now() },
            broken: (why) =>
              reporters.emit({
                event: 'warning',
                message: `TensorBoard's event file: ${why}. No more is written.`,
              }),
          });
    if (tensorboard) observers.push(tensorboard);
    const reporters = openReporters({ ...options, observers });
    if (tensorboard) reporters.say(`TensorBoard: tensorboard --logdir ${dirname(tensorboard.path)}`);
    if (dashboard) {
      reporters.say(`Dashboard: ${dashboard.entrance}`);
      reporters.emit({ event: 'dashboard', url: dashboard.url });
    }
    return reporters;
  } catch (error) {
    await Promise.all(observers.map((observer) => observer.close()));
    throw error;
  }
}

async function openRunDashboard(
  address: string | true,
  { out, resume, append = false }: WatchedOptions,
): Promise<Dashboard> {
  const { openDashboard } = await import('../../dashboard/server.js');
  const dashboard = await openDashboard({
    address: parseAddress(address),
    token: dashboardToken(),
    runs: dirname(out),
    live: basename(out),
  });
  // The run goes on, and so do its charts.
  if (resume !== null || append) {
    try {
      for await (const event of readEvents(out)) dashboard.recall(event);
    } catch {
      // It goes on in another folder, or its log is gone: then the charts begin here.
    }
  }
  return dashboard;
}
