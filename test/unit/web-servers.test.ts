import { appendFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Hono } from 'hono';
import { afterEach, describe, expect, it } from 'vitest';
import { serveFiles } from '../../src/cli/demo/static-server.js';
import { PastRuns } from '../../src/dashboard/past-runs.js';
import { addRuns, LiveRun } from '../../src/dashboard/runs-api.js';
import { pictureSchema } from '../../src/shared/evaluation/misclassified.js';
import { get } from '../support/http-get.js';
import { temporaryFolder } from '../support/lockstep.js';
import { evalEvent, runEvent, startEvent, stepEvent } from '../support/run-events.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

describe('the server of lockstep demo', () => {
  it('answers on loopback under a loopback name only, so that no other page can read the model', async () => {
    const files = new Map([['/model/model.json', { text: 'the model' }]]);
    const server = await serveFiles(files, { host: '127.0.0.1', port: 0 });
    closers.push(() => server.close());
    const url = `${server.url}model/model.json`;
    for (const host of ['127.0.0.1:80', 'localhost', '[::1]:1'])
      expect((await get(url, { host })).status).toBe(200);
    for (const host of ['rebound.example', 'rebound.example:80', '127.0.0.1.example'])
      expect((await get(url, { host })).status, host).toBe(421);
  });
});

describe('the dashboard', () => {
  it('accepts pictures of misclassified samples of bounded size only', () => {
    const small = { height: 32, width: 32, channels: 3 };
    expect(pictureSchema.safeParse(small).success).toBe(true);
    for (const wrong of [
      { ...small, width: 33 },
      { ...small, height: 2 ** 40 },
      { height: Number.MAX_SAFE_INTEGER, width: 1, channels: 1 },
    ])
      expect(pictureSchema.safeParse(wrong).success).toBe(false);
  });
});

describe('the live run', () => {
  it('is listed and shown from its events, with its labels, while its log lags behind', async () => {
    const runs = await temporaryFolder();
    const written = `${JSON.stringify(runEvent())}\n`;
    for (const name of ['live', 'earlier']) {
      await mkdir(join(runs, name));
      await writeFile(join(runs, name, 'events.ndjson'), written);
    }
    await writeFile(join(runs, 'live', 'labels.json'), JSON.stringify({ tags: ['new'], note: null }));
    const live = new LiveRun(runs, 'live');
    for (const event of [runEvent(), startEvent(9), stepEvent(1), stepEvent(2), evalEvent(2, 0.75)])
      live.note(event);
    const app = new Hono();
    addRuns(app, runs, live);
    const answer = async (path: string): Promise<unknown> => (await app.request(path)).json();
    expect(await answer('/api/runs')).toMatchObject([
      { name: 'live', outcome: 'open', steps: 2, testAccuracy: 0.75, tags: ['new'] },
      { name: 'earlier', outcome: 'open', steps: 0, testAccuracy: null, tags: [] },
    ]);
    expect(await answer('/api/runs/live')).toMatchObject({ steps: { x: [1, 2] } });
    expect(await answer('/api/runs/earlier')).toMatchObject({ steps: { x: [] } });
    expect((await app.request('/api/runs/none')).status).toBe(404);
  });
});

describe('earlier runs', () => {
  it('are read once for many requests, and again when the log has grown', async () => {
    const runs = await temporaryFolder();
    const log = join(runs, 'run', 'events.ndjson');
    await mkdir(join(runs, 'run'));
    const warning = (text: string): string =>
      `${JSON.stringify({ event: 'warning', message: text, timeMs: 1 })}\n`;
    await writeFile(log, warning('first'));
    const past = new PastRuns(runs);
    const views = await Promise.all(Array.from({ length: 100 }, () => past.view('run')));
    expect(new Set(views).size).toBe(1);
    expect(await past.view('run')).toBe(views[0]);
    await appendFile(log, warning('second'));
    const later = await past.view('run');
    expect(later).not.toBe(views[0]);
    expect(JSON.stringify(later === 'busy' ? later : later.since())).toContain('second');
  });

  it('are refused when too many are asked for at once, and answered afterwards', async () => {
    const runs = await temporaryFolder();
    const names = Array.from({ length: 60 }, (_, i) => `run-${i}`);
    for (const name of names) {
      await mkdir(join(runs, name));
      await writeFile(join(runs, name, 'events.ndjson'), '{"event":"warning","message":"x"}\n');
    }
    const past = new PastRuns(runs);
    const views = await Promise.all(names.map((name) => past.view(name)));
    expect(views.filter((view) => view === 'busy').length).toBeGreaterThan(0);
    expect(views.filter((view) => view !== 'busy').length).toBeGreaterThanOrEqual(16);
    expect(await past.view(names.at(-1)!)).not.toBe('busy');
    await expect(past.view('none')).rejects.toThrow(/ENOENT/);
  });
});
