/** Workers and evaluations on the dashboard's page, and the page's requests to a live run, in Chromium. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { NamedHistogram } from '../../src/shared/runs/histogram.js';
import type { RunEvent, TimedEvent } from '../../src/shared/runs/run-events.js';
import { chromiumPath, noChromium } from '../support/browser.js';
import { DashboardPages, seriousFindings, writeLog } from '../support/dashboard-page.js';
import { eventually } from '../support/eventually.js';
import { Lockstep, temporaryFolder } from '../support/lockstep.js';
import {
  evalEvent,
  runEvent,
  startEvent,
  statusEvent,
  stepEvent,
  workerStatus,
} from '../support/run-events.js';
import { writeSmallTraining } from '../support/small-training.js';

const steps = (count: number) => Array.from({ length: count }, (_, i) => stepEvent(i + 1));
const now = (event: RunEvent): TimedEvent => ({ ...event, timeMs: 1_000_000 });

describe.skipIf(chromiumPath === undefined)(
  `the dashboard's page in Chromium (${chromiumPath ?? noChromium})`,
  () => {
    let pages: DashboardPages;
    let folder: string;
    const requests: string[] = [];
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'lockstep-runs-'));
      const controls = {
        stop: () => void requests.push('stop'),
        checkpoint: () => void requests.push('checkpoint'),
      };
      pages = await DashboardPages.open({ runs: folder, live: 'live', controls });
      for (const event of [runEvent(), startEvent(9), ...steps(3)]) pages.server.emit(event);
    });
    afterEach(() => pages.closePages());
    afterAll(async () => {
      await pages.close();
      await rm(folder, { recursive: true });
    });

    const open = (settings: string): Promise<Page> => pages.page(settings);

    it('shows CPU and memory of each worker, in the table and over the steps', async () => {
      const status = (step: number, cores: readonly number[]): TimedEvent => ({
        ...statusEvent(
          ...cores.map((busy, rank) => ({
            ...workerStatus(rank, { forward: 10 }),
            usage: { cores: busy, memoryBytes: (rank + 1) * 640e6 },
          })),
        ),
        step,
      });
      const events = [runEvent(), startEvent(9), ...steps(9), status(3, [1, 0.25]), status(9, [1.5, 0.75])];
      await writeLog(folder, 'busy', events);
      const page = await open('run=busy');
      await page
        .getByRole('img', {
          name: 'CPU of each worker over 2 points. At the last step: rank 0 1.5, rank 1 0.75.',
        })
        .waitFor();
      await page
        .getByRole('img', { name: /^Memory of each worker .* rank 0 0\.64, rank 1 1\.28\.$/ })
        .waitFor();
      await page.getByRole('row', { name: /^0 training .* 1\.50 640 MB$/ }).waitFor();
      await page.getByRole('row', { name: /^1 training .* 0\.75 1\.3 GB$/ }).waitFor();
    });

    it('shows the confusion matrix of the last evaluation, of all workers and of the last attempt', async () => {
      const part = (rank: number, generation: number, cells: readonly (readonly number[])[]): TimedEvent =>
        now({
          event: 'confusion',
          split: 'test',
          epoch: 1,
          step: 9,
          rank,
          generation,
          classes: ['cat', 'dog'],
          cells: cells.map(([label = 0, predicted = 0, count = 0]) => ({ label, predicted, count })),
        });
      await writeLog(folder, 'classes', [
        runEvent(),
        startEvent(9),
        ...steps(9),
        // This generation ended before its other worker had reported.
        part(0, 1, [[0, 0, 500]]),
        part(0, 2, [
          [0, 0, 30],
          [0, 1, 10],
        ]),
        part(1, 2, [
          [0, 0, 10],
          [1, 0, 5],
          [1, 1, 45],
        ]),
        evalEvent(9, 0.85),
      ]);
      const page = await open('run=classes');
      await page
        .getByText('85 of 100 samples of the test set are classified correctly after step 9.')
        .waitFor();
      const table = page.getByRole('table', { name: 'Confusion matrix of the test set' });
      await table.getByRole('row', { name: 'cat 40 10 80.00 %', exact: true }).waitFor();
      await table.getByRole('row', { name: 'dog 5 45 90.00 %', exact: true }).waitFor();
      await table.getByRole('row', { name: 'Precision 88.89 % 81.82 %' }).waitFor();
    });

    it('shows the histograms of a tensor over the steps', async () => {
      const histogram = (kind: NamedHistogram['kind'], name: string, half: number): NamedHistogram => ({
        kind,
        name,
        // The values -half and half, twice each.
        histogram: {
          min: -half,
          max: half,
          count: 4,
          sum: 0,
          sumOfSquares: 4 * half ** 2,
          buckets: [2, 0, 0, 2],
        },
      });
      const recorded = [3, 6, 9].map((step) =>
        now({
          event: 'histograms',
          step,
          histograms: [
            histogram('weights', 'dense/kernel', step),
            histogram('gradients', 'dense/kernel', step / 100),
          ],
        }),
      );
      await writeLog(folder, 'spread', [runEvent(), startEvent(9), ...steps(9), ...recorded]);
      const page = await open('run=spread');
      await page.getByText('Histograms of weights and gradients').click();
      await page
        .getByRole('img', { name: 'Histograms of weights dense/kernel at 3 steps, from -9 to 9' })
        .waitFor();
      await page.getByText('After step 9: 4 values from -9 to 9, mean 0, standard deviation 9.').waitFor();
      await page.getByRole('combobox', { name: 'Tensor' }).selectOption('gradients/dense/kernel');
      await page
        .getByRole('img', { name: 'Histograms of gradients dense/kernel at 3 steps, from -0.09 to 0.09' })
        .waitFor();
      expect(await seriousFindings(page)).toEqual([]);
    });

    it('permits to stop the run and to write a checkpoint with the token only', async () => {
      const page = await open('');
      await page.getByText('open the address with the token that the training printed').waitFor();
      expect(await page.getByRole('button', { name: 'Stop the run' }).count()).toBe(0);
      const header = { 'x-lockstep-control': '1' };
      const token = new URL(pages.server.entrance).searchParams.get('token') ?? '';
      for (const headers of [
        header,
        { authorization: `Bearer ${token}` },
        { ...header, authorization: 'Bearer x' },
      ])
        for (const request of ['stop', 'checkpoint'])
          expect(
            (await fetch(`${pages.url}api/control/${request}`, { method: 'POST', headers })).status,
          ).toBe(403);
      expect((await fetch(`${pages.url}api/control/stop`, { headers: header })).status).toBe(404);
      expect(requests).toEqual([]);

      await page.goto(pages.server.entrance);
      await page.getByRole('button', { name: 'Write a checkpoint' }).click();
      await page.getByText('A checkpoint is requested.').waitFor();
      expect(requests).toEqual(['checkpoint']);
      const stop = page.getByRole('button', { name: 'Stop the run' });
      await stop.click();
      const dialog = page.getByRole('dialog', { name: 'Stop the run?' });
      expect(await seriousFindings(page)).toEqual([]);
      await dialog.getByRole('button', { name: 'Continue training' }).click();
      await dialog.waitFor({ state: 'hidden' });
      expect(requests).toEqual(['checkpoint']);
      await stop.click();
      await dialog.getByRole('button', { name: 'Stop the run' }).click();
      await page.getByText('The run writes a checkpoint and stops.').waitFor();
      expect(requests).toEqual(['checkpoint', 'stop']);
    });
  },
);

describe('lockstep train --dashboard', () => {
  it('writes a checkpoint and stops on request, and reports usage and confusion of its workers', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 640 });
    const out = join(folder, 'run');
    const options = [
      '--workers',
      '2',
      '--threads',
      '1',
      '--epochs',
      '5000',
      '--dashboard',
      '0',
      '--status-ms',
      '200',
    ];
    const run = new Lockstep(['train', '--config', config, '--json', '--out', out, ...options]);
    const { url } = await run.event('dashboard');
    const entrance = await eventually('the address', () => /Dashboard: (\S+)/.exec(run.stderr)?.[1]);
    const token = new URL(entrance).searchParams.get('token') ?? '';
    const post = (request: string): Promise<Response> =>
      fetch(`${url}api/control/${request}`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'x-lockstep-control': '1' },
      });
    const { correct } = await run.event('eval');
    const parts = [
      await run.event('confusion', ({ rank }) => rank === 0),
      await run.event('confusion', ({ rank }) => rank === 1),
    ];
    const right = parts.flatMap(({ cells }) => cells.filter(({ label, predicted }) => label === predicted));
    expect(right.reduce((sum, { count }) => sum + count, 0)).toBe(correct);
    const { workers } = await run.event(
      'status',
      ({ workers: all }) => all.length === 2 && all.every(({ usage }) => (usage?.cores ?? 0) > 0),
    );
    // A process with an engine occupies more than 50 MB.
    for (const { usage } of workers) expect(usage!.memoryBytes).toBeGreaterThan(50e6);
    expect((await post('checkpoint')).status).toBe(202);
    const checkpoint = await run.event('checkpoint');
    await run.event('step', ({ step }) => step > checkpoint.step + 5);
    expect((await post('stop')).status).toBe(202);
    expect((await run.event('error')).message).toMatch(/^Interrupted by the dashboard after step \d+\./);
    expect((await run.ended).status).toBe(130);
  });
});
