/** Faults that the dashboard's page once had, each with the right figure or form in Chromium. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { chromiumPath, noChromium } from '../support/browser.js';
import { DashboardPages, drawingOf, writeLog } from '../support/dashboard-page.js';
import { evalEvent, runEvent, startEvent, stepEvent } from '../support/run-events.js';

const steps = (count: number) => Array.from({ length: count }, (_, i) => stepEvent(i + 1));

describe.skipIf(chromiumPath === undefined)(
  `the dashboard's page in Chromium (${chromiumPath ?? noChromium})`,
  () => {
    let pages: DashboardPages;
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'lockstep-runs-'));
      pages = await DashboardPages.open({ runs: folder });
    });
    afterAll(async () => {
      await pages.close();
      await rm(folder, { recursive: true });
    });

    const image = (page: Page, name: RegExp) => page.getByRole('img', { name });

    it('shows images per second as samples by time, also where single steps were reported in a burst', async () => {
      // Of two steps with 64 samples, one takes 72 ms and the other is reported 2 ms after it.
      const rates = Array.from({ length: 8_192 }, (_, i) =>
        stepEvent(i + 1, { imagesPerSecond: 64 / (i % 2 === 0 ? 0.072 : 0.002) }),
      );
      await writeLog(folder, 'bursts', [runEvent(), startEvent(8_192), ...rates]);
      const page = await pages.page('run=bursts');
      const rate = Math.round((2 * 64) / (0.072 + 0.002)).toLocaleString('en');
      await image(page, new RegExp(`^Images per second over 4,096 points.*this run ${rate}\\.$`)).waitFor();
    });

    it('shows the last value before a step, and never the next one', async () => {
      const evaluations = [evalEvent(4, 0.5), evalEvent(8, 0.75)];
      await writeLog(folder, 'evaluated', [runEvent(), startEvent(12), ...steps(12), ...evaluations]);
      const page = await pages.page('run=evaluated');
      await image(page, /^Accuracy .* At the last step: test set 75.00 %\.$/).waitFor();
      await page.getByRole('slider', { name: 'Step', exact: true }).focus();
      await page.keyboard.press('Home');
      for (let step = 1; step < 6; step++) await page.keyboard.press('ArrowRight');
      await image(page, /^Accuracy .* At step 6: test set 50.00 %\.$/).waitFor();
      await page.getByText('Loss as a table').press('Enter');
      await page.getByRole('row', { name: '3 0.6667 –', exact: true }).waitFor();
      await page.getByRole('row', { name: '7 0.2857 0.5', exact: true }).waitFor();
    });

    it('gives a single evaluation an axis around its value, which ends at 100 %', async () => {
      await writeLog(folder, 'single', [runEvent(), startEvent(5), ...steps(5), evalEvent(5, 0.97)]);
      const page = await pages.page('run=single');
      await image(page, /^Accuracy over 1 points.*test set 97.00 %\.$/).waitFor();
      const { texts } = await drawingOf(page, 'Accuracy');
      const labels = texts.filter((text) => text.endsWith('%')).map((text) => Number.parseFloat(text));
      expect(labels.length).toBeGreaterThan(2);
      expect(Math.max(...labels)).toBe(100);
      expect(Math.min(...labels)).toBeGreaterThan(80);
    });

    it('labels the steps of a short run with whole numbers, each once', async () => {
      await writeLog(folder, 'short', [runEvent(), startEvent(3), ...steps(3)]);
      const page = await pages.page('run=short');
      await image(page, /^Loss over 3 points/).waitFor();
      const { texts } = await drawingOf(page, 'Learning rate');
      const labels = texts.filter((text) => /^\d+$/.test(text));
      expect(labels).toEqual(['1', '2', '3']);
    });

    it('shows a resumed run as waiting for its workers, and the bars of earlier workers as ended', async () => {
      const joined = (pid: number, timeMs: number): TimedEvent => ({
        event: 'worker',
        state: 'joined',
        rank: 0,
        pid,
        host: 'box',
        device: 'CPU',
        engine: '',
        generation: 1,
        timeMs,
      });
      await writeLog(folder, 'resumed', [
        runEvent(),
        joined(11, 1_000_001),
        startEvent(9),
        ...steps(3),
        { event: 'error', code: 'INTERRUPTED', message: 'Interrupted by SIGINT.', timeMs: 1_001_000 },
        { ...runEvent(), timeMs: 1_060_000 },
        { event: 'resumed', step: 3, path: '/c', skipped: [], timeMs: 1_060_001 },
        joined(12, 1_070_000),
      ]);
      const page = await pages.page('run=resumed');
      await page.getByRole('status').getByText('Waiting for workers', { exact: true }).waitFor();
      expect(await page.getByRole('alert').count()).toBe(0);
      const titles = await page.locator('#lives title').allTextContents();
      expect(titles[0]).toMatch(/^Rank 0, pid 11: from .* until .*, left$/);
      expect(titles[1]).toMatch(/^Rank 0, pid 12: from .* until now$/);
    });

    it('keeps the table of two runs inside its card', async () => {
      for (const name of ['a-run-with-a-long-name', 'another-run-with-a-long-name'])
        await writeLog(folder, name, [runEvent(), startEvent(20), ...steps(20), evalEvent(20, 0.9)]);
      const page = await pages.page('run=a-run-with-a-long-name&compare=another-run-with-a-long-name');
      await image(page, /^Loss .*another-run-with-a-long-name, test set/).waitFor();
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 900 });
        const details = page.locator('details', { hasText: 'Loss as a table' });
        if ((await details.getAttribute('open')) === null) await page.getByText('Loss as a table').click();
        const figure = page.locator('figure', { has: details });
        const [card, table] = [await figure.boundingBox(), await figure.locator('.scroll').boundingBox()];
        expect(table!.x).toBeGreaterThanOrEqual(card!.x);
        expect(table!.x + table!.width).toBeLessThanOrEqual(card!.x + card!.width);
        expect(
          await figure.evaluate('document.documentElement.scrollWidth - innerWidth'),
        ).toBeLessThanOrEqual(0);
      }
    });

    it('moves the values of all charts with the pointer in one of them', async () => {
      await writeLog(folder, 'hovered', [
        runEvent(),
        startEvent(11),
        ...steps(11),
        evalEvent(4, 0.5),
        evalEvent(8, 0.75),
      ]);
      const page = await pages.page('run=hovered');
      const loss = image(page, /^Loss over 11 points/);
      await loss.waitFor();
      await loss.scrollIntoViewIfNeeded();
      const over = (await loss.locator('.u-over').boundingBox())!;
      // Steps 1 to 11 span the width, so the middle is step 6.
      await page.mouse.move(over.x + over.width / 2, over.y + over.height / 2);
      await image(page, /^Loss .* At step 6: this run 0.3333, test set 0.5\.$/).waitFor();
      await image(page, /^Accuracy .* At step 6: test set 50.00 %\.$/).waitFor();
      await image(page, /^Learning rate .* At step 6: this run 0.001\.$/).waitFor();
      const value = page.locator('figure', { hasText: 'Accuracy' }).locator('.legend .value');
      expect(await value.textContent()).toBe('50.00 %');
      await page.mouse.move(over.x + over.width / 2, 2);
      await image(page, /^Accuracy .* At the last step: test set 75.00 %\.$/).waitFor();
    });

    it('draws every line of a chart in a colour or pattern of its own, as the legend shows', async () => {
      const events: TimedEvent[] = [runEvent(), startEvent(9), ...steps(9)];
      for (const step of [3, 6, 9]) {
        events.push(evalEvent(step, step / 10), evalEvent(step, step / 9, { split: 'train' }));
      }
      for (const name of ['first', 'second', 'third']) await writeLog(folder, name, events);
      for (const [compare, lines] of [
        ['', 3],
        ['&compare=second,third', 9],
      ] as const) {
        const page = await pages.page(`run=first${compare}`);
        const figure = page.locator('figure', { hasText: 'Loss' }).first();
        await figure
          .locator('.legend li')
          .nth(lines - 1)
          .waitFor();
        const shown = await figure
          .locator('.legend line')
          .evaluateAll((swatches) =>
            (swatches as unknown as { getAttribute(name: string): string }[]).map(
              (swatch) => `${swatch.getAttribute('stroke')} ${swatch.getAttribute('stroke-dasharray')}`,
            ),
          );
        expect(new Set(shown).size).toBe(lines);
        const { strokes } = await drawingOf(page, 'Loss');
        expect(strokes).toEqual(expect.arrayContaining(shown));
        await page.close();
      }
    });

    it('shows the error of a failed run first, and no empty charts', async () => {
      const message = 'Data refused: expected finite numbers, got NaN (train, sample 7). Correct the file.';
      await writeLog(folder, 'failed', [
        runEvent(),
        { event: 'error', code: 'DATA', message, timeMs: 1_000_500 },
      ]);
      const page = await pages.page('run=failed');
      const alert = page.getByRole('alert');
      await alert.getByText(message).waitFor();
      await alert.getByRole('heading', { name: 'Failed before the first step: DATA' }).waitFor();
      const top = (await alert.boundingBox())!.y;
      for (const section of await page.locator('main > section:visible').all())
        expect((await section.boundingBox())!.y).toBeGreaterThanOrEqual(top);
      expect(await page.locator('figure:visible').count()).toBe(0);
      await page.getByText('The run ended without values.').waitFor();
      expect(await page.getByRole('slider').count()).toBe(0);
      expect(await page.getByRole('combobox', { name: 'X axis' }).count()).toBe(0);
    });

    it('keeps the compared runs when the page is loaded again', async () => {
      for (const name of ['kept', 'compared'])
        await writeLog(folder, name, [runEvent(), startEvent(5), ...steps(5)]);
      const page = await pages.page('run=kept');
      await page.getByRole('checkbox', { name: 'Compare with compared' }).check();
      await image(page, /^Loss .* kept 0.4, compared 0.4\.$/).waitFor();
      await page.reload();
      await image(page, /^Loss .* kept 0.4, compared 0.4\.$/).waitFor();
      expect(await page.getByRole('checkbox', { name: 'Compare with compared' }).isChecked()).toBe(true);
      expect(page.url()).toContain('#run=kept&compare=compared');
    });
  },
);
