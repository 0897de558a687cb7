/** Values of callbacks, metrics of batches, the model and the list of events on the dashboard's page, in Chromium. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readEvents } from '../../src/index.js';
import type { RunEvent, TimedEvent } from '../../src/shared/runs/run-events.js';
import { chromiumPath, noChromium } from '../support/browser.js';
import { DashboardPages, drawingOf, seriousFindings, writeLog } from '../support/dashboard-page.js';
import { lockstep } from '../support/lockstep.js';
import { evalEvent, runEvent, startEvent, stepEvent } from '../support/run-events.js';
import { writeSmallTraining } from '../support/small-training.js';

const steps = (count: number) => Array.from({ length: count }, (_, i) => stepEvent(i + 1));
const now = (event: RunEvent, timeMs = 1_000_500): TimedEvent => ({ ...event, timeMs });
const scalars = (step: number, values: Record<string, number>, timeMs?: number): TimedEvent =>
  now({ event: 'scalars', step, values }, timeMs);

describe.skipIf(chromiumPath === undefined)(
  `the dashboard's page in Chromium (${chromiumPath ?? noChromium})`,
  () => {
    let pages: DashboardPages;
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'lockstep-runs-'));
      pages = await DashboardPages.open({ runs: folder, live: 'live' });
    });
    afterEach(() => pages.closePages());
    afterAll(async () => {
      await pages.close();
      await rm(folder, { recursive: true });
    });

    const open = (settings: string): Promise<Page> => pages.page(settings);
    const image = (page: Page, name: RegExp | string) => page.getByRole('img', { name });
    const figureOf = (page: Page, title: string) =>
      page.locator('figure', { has: page.getByRole('heading', { name: title }) });

    it('charts what the callbacks of a training log, and readEvents returns it', async () => {
      const { config } = await writeSmallTraining(folder, {
        count: 640,
        extra: `callbacks: [{
          onStep: ({ step }, { log }) => log({ 'my/square': step * step }),
          onEvaluation: ({ split }, { log }) => { if (split === 'test') log({ 'my/constant': -2.5 }); },
        }],`,
      });
      const out = join(folder, 'trained');
      const options = ['--workers', '2', '--threads', '1', '--epochs', '2', '--out', out];
      expect((await lockstep(['train', '--config', config, ...options])).status).toBe(0);
      const logged: unknown[] = [];
      for await (const event of readEvents(out))
        if (event.event === 'scalars') logged.push([event.step, event.values]);
      expect(logged).toHaveLength(22);
      expect(logged).toEqual(
        expect.arrayContaining([
          [1, { 'my/square': 1 }],
          [20, { 'my/square': 400 }],
          [10, { 'my/constant': -2.5 }],
        ]),
      );
      const page = await open('run=trained');
      await image(page, 'my/square over 20 points. At the last step: this run 400.').waitFor();
      await image(page, 'my/constant over 2 points. At the last step: this run -2.5.').waitFor();
      await page
        .getByRole('row', { name: /^conv2d\S* Conv2D conv2d\S*_input batch × 8 × 8 × 16 160$/ })
        .waitFor();
    });

    it('gives the values of a callback the axis, the smoothing, the legend and the downloads of other charts', async () => {
      for (const [name, factor] of [
        ['values', 1],
        ['others', 3],
      ] as const) {
        const logged = [4, 8, 12].map((step, i) =>
          scalars(step, { 'my/gap': factor * (i + 1) }, 1_000_000 + 60_000 * (i + 1)),
        );
        const start = { ...startEvent(12), stepsPerEpoch: 4 };
        await writeLog(folder, name, [runEvent(), start, ...steps(12), ...logged]);
      }
      const page = await open('run=values');
      await image(page, 'my/gap over 3 points. At the last step: this run 3.').waitFor();
      await page.getByRole('slider', { name: 'Step', exact: true }).focus();
      await page.keyboard.press('Home');
      for (let step = 1; step < 9; step++) await page.keyboard.press('ArrowRight');
      await image(page, 'my/gap over 3 points. At step 9: this run 2.').waitFor();

      await page.getByRole('combobox', { name: 'X axis' }).selectOption('epoch');
      await image(page, 'my/gap over 3 points. At the last step: this run 3.').waitFor();
      await expect
        .poll(async () => (await drawingOf(page, 'my/gap')).texts)
        .toEqual(expect.arrayContaining(['1', '2', '3']));
      await page.getByRole('combobox', { name: 'X axis' }).selectOption('time');
      await expect
        .poll(async () => (await drawingOf(page, 'my/gap')).texts)
        .toEqual(expect.arrayContaining(['1:00', '2:00', '3:00']));
      await page.getByRole('combobox', { name: 'X axis' }).selectOption('step');

      await page.getByRole('slider', { name: 'Smoothing' }).fill('0.5');
      // The weights of 3, 2 and 1 are 1, 1/2 and 1/4.
      const smoothed = String(Number(((3 + 2 / 2 + 1 / 4) / (1 + 1 / 2 + 1 / 4)).toPrecision(4)));
      await image(page, `my/gap over 3 points. At the last step: this run ${smoothed}.`).waitFor();
      await page.getByRole('slider', { name: 'Smoothing' }).fill('0');

      await page.getByRole('checkbox', { name: 'Compare with others' }).check();
      await image(page, 'my/gap over 3 points. At the last step: values 3, others 9.').waitFor();
      const waiting = page.waitForEvent('download');
      await page.getByRole('button', { name: 'my/gap as CSV' }).click();
      const file = await waiting;
      expect(file.suggestedFilename()).toBe('my-gap.csv');
      const chunks: Buffer[] = [];
      for await (const chunk of await file.createReadStream()) chunks.push(chunk as Buffer);
      expect(parse(Buffer.concat(chunks), { columns: true })).toEqual(
        [4, 8, 12].map((step, i) => ({
          step: String(step),
          values: String(i + 1),
          others: String(3 * i + 3),
        })),
      );
      await figureOf(page, 'my/gap').getByRole('button', { name: 'values' }).click();
      await image(page, 'my/gap over 3 points. At the last step: others 9.').waitFor();
      expect(page.url()).toContain('hidden=own%3Amy/gap/steps');
      expect(await seriousFindings(page)).toEqual([]);
    });

    it('draws a value for an earlier step in its place, and states how many names have no chart', async () => {
      const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`m${i}`, i]));
      await writeLog(folder, 'late', [
        runEvent(),
        startEvent(9),
        ...steps(9),
        scalars(8, { late: 8 }),
        scalars(2, { late: 2 }),
        scalars(8, { late: 80 }),
        scalars(9, many),
      ]);
      const page = await open('run=late');
      await image(page, 'late over 2 points. At the last step: this run 80.').waitFor();
      await page.getByRole('slider', { name: 'Step', exact: true }).focus();
      await page.keyboard.press('Home');
      for (let step = 1; step < 3; step++) await page.keyboard.press('ArrowRight');
      await image(page, 'late over 2 points. At step 3: this run 2.').waitFor();
      await page
        .getByText(/^The run logs too many values for the page: 3 more names have no chart\./)
        .waitFor();
    });

    it('shows the metrics of the batches beside those of the evaluations', async () => {
      const measured = Array.from({ length: 9 }, (_, i) =>
        stepEvent(i + 1, { metrics: { accuracy: i / 10 } }),
      );
      await writeLog(folder, 'batches', [runEvent(), startEvent(9), ...measured, evalEvent(9, 0.75)]);
      const page = await open('run=batches');
      await image(
        page,
        /^Accuracy over 9 points. At the last step: batches 80.00 %, test set 75.00 %\.$/,
      ).waitFor();
    });

    it('adds the values of a live run while they are logged', async () => {
      const server = pages.server;
      for (const event of [runEvent(), startEvent(9), stepEvent(1), scalars(1, { live: 1 })])
        server.emit(event);
      const page = await open('');
      await image(page, 'live over 1 points. At the last step: this run 1.').waitFor();
      for (const event of [stepEvent(2), scalars(2, { live: 4, second: 5 })]) server.emit(event);
      await image(page, 'live over 2 points. At the last step: this run 4.').waitFor();
      await image(page, 'second over 1 points. At the last step: this run 5.').waitFor();
    });

    it('shows the layers of the model with their shapes and parameters', async () => {
      const layers = [
        { name: 'image', kind: 'InputLayer', inputs: [], shape: [null, 8, 8, 1], parameters: 0 },
        { name: 'dense', kind: 'Dense', inputs: ['image'], shape: [null, 1200], parameters: 78_000 },
      ];
      await writeLog(folder, 'layered', [
        runEvent(),
        startEvent(3),
        ...steps(3),
        now({ event: 'model', layers }),
      ]);
      const page = await open('run=layered');
      await page.getByText('2 layers with 78,000 parameters.').waitFor();
      const table = page.getByRole('table', { name: 'Layers of the model' });
      await table.getByRole('row', { name: 'image InputLayer – batch × 8 × 8 × 1 0', exact: true }).waitFor();
      await table.getByRole('row', { name: 'dense Dense image batch × 1200 78,000', exact: true }).waitFor();
    });

    it('searches the events and limits them to a kind', async () => {
      await writeLog(folder, 'eventful', [
        runEvent(),
        startEvent(9),
        ...steps(3),
        now({ event: 'checkpoint', step: 3, path: 'c' }),
        now({ event: 'warning', message: 'The disk is nearly full.' }),
      ]);
      const page = await open('run=eventful');
      const list = page.getByRole('list', { name: 'Events' });
      await expect.poll(() => list.locator('li').count()).toBe(3);
      await page.getByRole('combobox', { name: 'Kind' }).selectOption('errors');
      await expect.poll(() => list.locator('p').allTextContents()).toEqual(['The disk is nearly full.']);
      await page.getByRole('combobox', { name: 'Kind' }).selectOption('checkpoints');
      await expect.poll(() => list.locator('p').allTextContents()).toEqual(['Checkpoint of step 3']);
      await page.getByRole('combobox', { name: 'Kind' }).selectOption('');
      await page.getByRole('searchbox', { name: 'Search events' }).fill('DISK');
      await expect.poll(() => list.locator('p').allTextContents()).toEqual(['The disk is nearly full.']);
      await page.getByText('1 of 3 events').waitFor();
      await page.getByRole('searchbox', { name: 'Search events' }).fill('nothing');
      await list.getByText('No such events').waitFor();
    });
  },
);
