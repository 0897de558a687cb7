/**
 * The HTTP server of a run: the dashboard's page, the run's changes, earlier runs, and Prometheus metrics. It reads events and
 * event logs and never writes; training never waits for it.
 */

import { createAdaptorServer, type ServerType } from '@hono/node-server';
import { Hono, type Context } from 'hono';
import { getCookie, setCookie } from 'hono/cookie';
import { secureHeaders } from 'hono/secure-headers';
import { ConfigError, systemCode } from '../shared/errors.js';
import { httpUrl, listen } from '../shared/http/listen.js';
import { RunView } from './run-view/run-view.js';
import { isWildcard } from '../shared/network/address.js';
import { listRuns, newestRun } from '../shared/runs/run-list.js';
import type { TimedEvent } from '../shared/runs/run-events.js';
import { Access, type DashboardAddress } from './access.js';
import { loadAssets } from './assets.js';
import { streamRun } from './live-stream.js';
import { RunMetrics } from './metrics.js';
import { PastRuns } from './past-runs.js';

export interface DashboardOptions {
  readonly address: DashboardAddress;
  /** The user's token; null to generate one if it is required. */
  readonly token: string | null;
  /** Folder of the runs that can be displayed. */
  readonly runs: string;
  /** Name of the live run; null if there is none. */
  readonly live: string | null;
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
const runName = /^[\w.:-]{1,200}$/;
const year = 31_536_000;

/** @throws ConfigError if the address cannot be bound */
export async function openDashboard(options: DashboardOptions): Promise<Dashboard> {
  const { address, token } = options;
  const access = new Access(address.host, token);
  const over = new AbortController();
  const view = new RunView();
  const metrics = new RunMetrics();
  const app = routes(options, access, { view, metrics, over: over.signal });
  const server = createAdaptorServer({ fetch: app.fetch });
  const port = await bind(server, address, options.warn);
  const shown = isWildcard(address) ? 'localhost' : address.host;
  const url = httpUrl({ host: shown, port });
  return {
    url,
    entrance: access.token === null ? url : `${url}?token=${encodeURIComponent(access.token)}`,
    emit: (event) => {
      view.note(event);
      metrics.note(event);
    },
    recall: (event) => view.note(event),
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
  readonly view: RunView;
  readonly metrics: RunMetrics;
  readonly over: AbortSignal;
}

function routes({ runs, live }: DashboardOptions, access: Access, { view, metrics, over }: Sources): Hono {
  const assets = loadAssets();
  const app = new Hono();
  app.use(
    secureHeaders({
      contentSecurityPolicy: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        connectSrc: ["'self'"],
        imgSrc: ["'self'", 'data:'],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
      referrerPolicy: 'no-referrer',
      strictTransportSecurity: false,
    }),
  );
  app.use(async (context, next) => {
    if (!access.knows(context.req.header('host'))) return context.text('Unknown host.\n', 421);
    const entered = context.req.query('token');
    if (entered !== undefined && access.admits(entered)) {
      const { name, value } = access.cookie(context.req.header('host'));
      setCookie(context, name, value, {
        httpOnly: true,
        sameSite: 'Strict',
        path: '/',
        maxAge: year,
      });
      return context.redirect('/');
    }
    const [, bearer] = /^Bearer (.+)$/.exec(context.req.header('authorization') ?? '') ?? [];
    const { name } = access.cookie(context.req.header('host'));
    if (bearer === undefined ? access.admitsCookie(getCookie(context, name)) : access.admits(bearer))
      return next();
    return context.text(
      'This dashboard requires a token: open the address that the training printed.\n',
      401,
    );
  });
  app.get('/metrics', async (context) =>
    context.body(await metrics.text(), 200, { 'Content-Type': metrics.contentType }),
  );
  app.get('/api/live', (context) =>
    live === null ? context.body(null, 204) : streamRun(context, view, over),
  );
  app.get('/api/current', async (context) => context.json({ live, newest: await newestRun(runs) }));
  app.get('/api/runs', async (context) => context.json(await listRuns(runs)));
  const past = new PastRuns(runs);
  app.get('/api/runs/:name', (context) => pastRun(context, past));
  app.get('*', (context) => {
    const asset = assets.get(context.req.path);
    if (!asset) return context.text('Not found.\n', 404);
    const headers = { 'Content-Type': asset.type, ETag: asset.etag, 'Cache-Control': 'no-cache' };
    if (context.req.header('if-none-match') === asset.etag) return context.body(null, 304, headers);
    return context.body(asset.body, 200, headers);
  });
  return app;
}

async function pastRun(context: Context, runs: PastRuns): Promise<Response> {
  const name = context.req.param('name') ?? '';
  if (!runName.test(name) || name.startsWith('.')) return context.text('Not found.\n', 404);
  try {
    const view = await runs.view(name);
    return view === 'busy' ? context.text('Too many requests.\n', 503) : context.json(view);
  } catch {
    return context.text('Not found.\n', 404);
  }
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
