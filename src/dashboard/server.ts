/**
 * The HTTP server of a run: the dashboard's page, the run's changes, earlier runs, Prometheus metrics, and the requests of a user who
 * controls the run. It reads events and event logs and never writes; training never waits for it.
 */

import { createAdaptorServer, type ServerType } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import { ConfigError, systemCode } from '../shared/errors.js';
import { httpUrl, listen } from '../shared/http/listen.js';
import { isWildcard } from '../shared/network/address.js';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { newestRun } from '../shared/runs/run-list.js';
import { Access, type DashboardAddress } from './access.js';
import { loadAssets } from './assets.js';
import { authorize, credentialsOf } from './authorize.js';
import { addControls, type Controls } from './controls.js';
import { streamRun } from './live-stream.js';
import { RunMetrics } from './metrics.js';
import { addRuns, LiveRun } from './runs-api.js';

export interface DashboardOptions {
  readonly address: DashboardAddress;
  /** The user's token; null to generate one if it is required. */
  readonly token: string | null;
  /** Folder of the runs that can be displayed. */
  readonly runs: string;
  /** Name of the live run; null if there is none. */
  readonly live: string | null;
  /** Carries out the requests of a user who has the token; absent if there is no live run. */
  readonly controls?: Controls;
  /** Receives errors of the server after its start, each reason once. */
  readonly warn: (message: string) => void;
}

export interface Dashboard {
  /** Address without the token. */
  readonly url: string;
  /** Address with the token, to open in a browser. */
  readonly entrance: string;
  emit(event: TimedEvent): void;
  /** Adds an earlier event, which the charts show and the metrics do not count. */
  recall(event: TimedEvent): void;
  /** Resolves when the clients have received the last message, or after a short time. */
  close(): Promise<void>;
}

/** Time limit for sending the last message to the clients, in ms. */
const farewellMs = 1_000;

/** @throws ConfigError if the address cannot be bound */
export async function openDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { address, token, runs, live } = options;
  const access = new Access(address.host, token);
  const over = new AbortController();
  const run = live === null ? null : new LiveRun(runs, live);
  const metrics = new RunMetrics();
  const app = routes(options, access, { run, metrics, over: over.signal });
  const server = createAdaptorServer({ fetch: app.fetch });
  const port = await bind(server, address, options.warn);
  const shown = isWildcard(address) ? 'localhost' : address.host;
  const url = httpUrl({ host: shown, port });
  const needsToken = access.isPrivate || options.controls !== undefined;
  return {
    url,
    entrance: needsToken ? `${url}?token=${encodeURIComponent(access.token)}` : url,
    emit: (event) => {
      run?.note(event);
      metrics.note(event);
    },
    recall: (event) => run?.note(event),
    close: async () => {
      over.abort();
      const timer = setTimeout(
        () => 'closeAllConnections' in server && server.closeAllConnections(),
        farewellMs,
      );
      await new Promise((closed) => server.close(closed));
      clearTimeout(timer);
    },
  };
}

interface Sources {
  readonly run: LiveRun | null;
  readonly metrics: RunMetrics;
  readonly over: AbortSignal;
}

function routes({ runs, controls }: DashboardOptions, access: Access, { run, metrics, over }: Sources): Hono {
  const assets = loadAssets();
  const app = new Hono();
  authorize(app, access);
  app.get('/metrics', async (context) =>
    context.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType }),
  );
  app.get('/api/live', (context) =>
    run === null ? context.body(null, 204) : streamRun(context, run.view, over),
  );
  const mayControl = (context: Context): boolean => access.mayControl(credentialsOf(context, access));
  if (controls) addControls(app, controls, mayControl);
  app.get('/api/current', async (context) => {
    const control = controls === undefined ? 'none' : mayControl(context) ? 'permitted' : 'token';
    return context.json({ live: run?.name ?? null, newest: await newestRun(runs), control });
  });
  addRuns(app, runs, run);
  app.get('*', (context) => {
    const asset = assets.get(context.req.path);
    if (!asset) return context.text('Not found.\n', 404);
    const headers = { 'Content-Type': asset.type, ETag: asset.etag, 'Cache-Control': 'no-cache' };
    if (context.req.header('if-none-match') === asset.etag) return context.body(null, 304, headers);
    return context.body(asset.body, 200, headers);
  });
  return app;
}

/** @returns the port */
async function bind(
  server: ServerType,
  { host, port, anyPort }: DashboardAddress,
  warn: (message: string) => void,
): Promise<number> {
  const reported = new Set<string>();
  const onError = (error: Error): void => {
    const reason = systemCode(error) ?? error.message;
    if (reported.has(reason)) return;
    reported.add(reason);
    warn(`Dashboard: a connection failed (${reason}). Training continues.`);
  };
  try {
    return await listen(server, { host, port }, onError).catch((error: unknown) => {
      if (anyPort && systemCode(error) === 'EADDRINUSE') return listen(server, { host, port: 0 }, onError);
      throw error;
    });
  } catch (cause) {
    throw new ConfigError(
      `--dashboard: ${host}:${port} cannot be bound (${systemCode(cause) ?? String(cause)}). Choose another address.`,
      { host, port },
      cause,
    );
  }
}
