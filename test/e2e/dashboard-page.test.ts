/** The abilities of the dashboard's page, each in Chromium. */

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { chromiumPath, noChromium } from '../support/browser.js';
import { DashboardPages, drawingOf, writeLog } from '../support/dashboard-page.js';
import { evalEvent, runEvent, startEvent, stepEvent } from '../support/run-events.js';

const steps = (count: number) => Array.from({ length: count }, (_, i) => stepEvent(i + 1));

/** The configuration of `runEvent` with other values. */
function runWith(change: object, learningRate = 0.001): TimedEvent {
  const run = runEvent();
  const config = { ...run.config, ...change, optimizer: { ...run.config.optimizer, learningRate } };
  return { ...run, config: config };
}

describe.skipIf(chromiumPath === undefined)(
  `the dashboard's page in Chromium (${chromiumPath ?? noChromium})`,
  () => {
    let pages: DashboardPages;
    let folder: string;
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'lockstep-runs-'));
      pages = await DashboardPages.open({ runs: folder });
      const error: TimedEvent = {
        event: 'error',
        code: 'DATA',
        message: 'Row 7 is empty.',
        timeMs: 2_000_000,
      };
      const alpha = [runWith({ name: 'mnist', batchSize: 32 }), startEvent(20), ...steps(20)];
      await writeLog(folder, 'alpha', [...alpha, evalEvent(10, 0.5), evalEvent(20, 0.75)]);
      const beta = [runWith({ name: 'mnist', batchSize: 128 }, 0.05), startEvent(9), ...steps(9)];
      await writeLog(folder, 'beta', [...beta, evalEvent(9, 0.99)]);
      await writeFile(
        join(folder, 'beta', 'labels.json'),
        JSON.stringify({ tags: ['favourite'], note: 'with a large batch' }),
      );
      await writeLog(folder, 'gamma', [runWith({ name: 'table' }), startEvent(30), ...steps(3), error]);
    });
    afterEach(() => pages.closePages());
    afterAll(async () => {
      await pages.close();
      await rm(folder, { recursive: true });
    });

    const open = (settings: string): Promise<Page> => pages.page(settings);
    const image = (page: Page, name: RegExp) => page.getByRole('img', { name });
    const listed = (page: Page): Promise<string[]> => page.locator('#runs tbody a').allTextContents();
    const expectListed = (page: Page, names: readonly string[]): Promise<void> =>
      expect.poll(() => listed(page), { timeout: 60_000 }).toEqual(names);

    it('sorts the runs by any column, those without a value last, and keeps the order', async () => {
      const page = await open('run=alpha');
      const accuracy = page.getByRole('button', { name: 'Test accuracy' });
      await accuracy.click();
      await expectListed(page, ['alpha', 'beta', 'gamma']);
      await accuracy.press('Enter');
      await expectListed(page, ['beta', 'alpha', 'gamma']);
      const heading = page.getByRole('columnheader', { name: 'Test accuracy' });
      expect(await heading.getAttribute('aria-sort')).toBe('descending');
      await page.getByRole('button', { name: 'Batch' }).click();
      // The third run has the default batch size, 64.
      await expectListed(page, ['alpha', 'gamma', 'beta']);
      await page.reload();
      await expectListed(page, ['alpha', 'gamma', 'beta']);
    });

    it('searches the runs by words, by results, and by fields of the configuration', async () => {
      const page = await open('run=alpha&sort=run');
      const field = page.getByRole('searchbox', { name: 'Search', exact: true });
      for (const [text, names] of [
        ['mnist', ['alpha', 'beta']],
        ['row 7', ['gamma']],
        ['favourite large', ['beta']],
        ['tags=favourite', ['beta']],
        ['testAccuracy>80%', ['beta']],
        ['mnist testAccuracy<0.8', ['alpha']],
        ['optimizer.learningRate<=0.001', ['alpha', 'gamma']],
        ['outcome=failed', ['gamma']],
        ['nothing', []],
        ['', ['alpha', 'beta', 'gamma']],
      ] as const) {
        await field.fill(text);
        await expectListed(page, names);
      }
      await page.getByRole('combobox', { name: 'Outcome' }).selectOption('failed');
      await expectListed(page, ['gamma']);
      await page.getByText('1 of 3 runs').waitFor();
      await page.reload();
      await expectListed(page, ['gamma']);
    });

    it('shows the charts over steps, time or epochs', async () => {
      const atTenSeconds = Array.from({ length: 20 }, (_, i) =>
        stepEvent(i + 1, { timeMs: 1_000_000 + 10_000 * (i + 1) }),
      );
      const evaluation = evalEvent(10, 0.5, { timeMs: 1_105_000 });
      const start = { ...startEvent(20), stepsPerEpoch: 10 };
      await writeLog(folder, 'timed', [runEvent(), start, ...atTenSeconds, evaluation]);
      const page = await open('run=timed');
      await image(page, /^Loss over 20 points/).waitFor();
      const axis = page.getByRole('combobox', { name: 'X axis' });
      await axis.selectOption('time');
      const slider = page.getByRole('slider', { name: 'Time', exact: true });
      await slider.focus();
      await page.keyboard.press('Home');
      for (let i = 0; i < 9; i++) await page.keyboard.press('ArrowRight');
      // Step 10 is at 1:40, before the evaluation at 1:45.
      await image(page, /^Loss .* At time 1:40: this run 0\.2, test set –\.$/).waitFor();
      await page.keyboard.press('ArrowRight');
      await image(page, /^Accuracy .* At time 1:50: test set 50\.00 %\.$/).waitFor();
      expect((await drawingOf(page, 'Loss')).texts).toEqual(expect.arrayContaining(['1:00', '2:00', '3:00']));
      await axis.selectOption('epoch');
      await page.getByRole('slider', { name: 'Epoch', exact: true }).focus();
      await page.keyboard.press('Home');
      for (let i = 0; i < 14; i++) await page.keyboard.press('ArrowRight');
      await image(page, /^Loss .* At epoch 1\.5: this run 0\.1333, test set 0\.5\.$/).waitFor();
      expect(page.url()).toContain('x=epoch');
    });

    it('smooths the lines by the weighted mean of the values so far, and shows the values faintly', async () => {
      const losses = [4, 1, 3, 0.5, 2, 0.25];
      const events = losses.map((loss, i) => stepEvent(i + 1, { loss }));
      await writeLog(folder, 'rough', [runEvent(), startEvent(6), ...events]);
      const page = await open('run=rough');
      await page.getByRole('slider', { name: 'Smoothing' }).fill('0.6');
      const mean = (count: number): string => {
        const weights = losses.slice(0, count).map((_, i) => 0.6 ** (count - 1 - i));
        const sum = weights.reduce((total, weight, i) => total + weight * losses[i]!, 0);
        return String(Number((sum / weights.reduce((total, weight) => total + weight, 0)).toPrecision(4)));
      };
      await image(page, new RegExp(`^Loss .* this run ${mean(6).replace('.', '\\.')}\\.$`)).waitFor();
      await page.getByRole('slider', { name: 'Step', exact: true }).focus();
      await page.keyboard.press('Home');
      await page.keyboard.press('ArrowRight');
      await page.keyboard.press('ArrowRight');
      await image(
        page,
        new RegExp(`^Loss .* At step 3: this run ${mean(3).replace('.', '\\.')}\\.$`),
      ).waitFor();
      const { strokes } = await drawingOf(page, 'Loss');
      expect(strokes.map((stroke) => stroke.trim())).toEqual(
        expect.arrayContaining(['#0b6bbd', 'rgba(11, 107, 189, 0.333)']),
      );
      expect(page.url()).toContain('smoothing=0.6');
    });

    it('hides and shows a line by its legend', async () => {
      const page = await open('run=alpha');
      await image(page, /^Loss .*this run 0\.1, test set 0\.25\.$/).waitFor();
      const figure = page.locator('figure', { hasText: 'Loss' }).first();
      const button = figure.getByRole('button', { name: 'test set' });
      await button.click();
      await image(page, /^Loss .*: this run 0\.1\.$/).waitFor();
      expect(await button.getAttribute('aria-pressed')).toBe('false');
      // The canvas is new, so that it contains this line's strokes only.
      const { strokes } = await drawingOf(page, 'Loss');
      expect(strokes.map((stroke) => stroke.trim())).toContain('#0b6bbd');
      expect(strokes.filter((stroke) => stroke.startsWith('#1b8a5a'))).toEqual([]);
      await page.reload();
      await image(page, /^Loss .*: this run 0\.1\.$/).waitFor();
      await figure.getByRole('button', { name: 'test set' }).press('Enter');
      await image(page, /^Loss .*this run 0\.1, test set 0\.25\.$/).waitFor();
    });

    it('keeps its settings in the address, and a link of the table keeps them for another run', async () => {
      const settings =
        'run=alpha&compare=beta&x=epoch&smoothing=0.5&log=1&hidden=Loss/test&sort=run&search=mnist';
      const page = await open(`${settings}&differences=1`);
      await image(page, /^Loss .*alpha [\d.]+, beta [\d.]+, beta, test set/).waitFor();
      await expectListed(page, ['alpha', 'beta']);
      expect(await page.getByRole('combobox', { name: 'X axis' }).inputValue()).toBe('epoch');
      expect(await page.getByRole('slider', { name: 'Smoothing' }).inputValue()).toBe('0.5');
      for (const name of ['Logarithmic loss axis', 'Only differences', 'Compare with beta'])
        expect(await page.getByRole('checkbox', { name }).isChecked()).toBe(true);
      await page.getByRole('link', { name: 'beta', exact: true }).click();
      await page.getByRole('heading', { name: 'mnist · beta' }).waitFor();
      const hash = new URLSearchParams(new URL(page.url()).hash.slice(1));
      expect(Object.fromEntries(hash)).toEqual({
        ...Object.fromEntries(new URLSearchParams(`${settings}&differences=1`)),
        run: 'beta',
        compare: undefined,
      });
    });

    it('shows the configuration, and the fields in which compared runs differ', async () => {
      const page = await open('run=alpha&compare=beta');
      await page.getByText('2 fields differ between these runs.').waitFor();
      const table = page.getByRole('table', { name: 'Configuration of the runs' });
      await table.getByRole('row', { name: 'batchSize differs 32 128' }).waitFor();
      await table.getByRole('row', { name: 'optimizer.learningRate differs 0.001 0.05' }).waitFor();
      await table.getByRole('row', { name: 'shards 8 8' }).waitFor();
      await page.getByRole('checkbox', { name: 'Only differences' }).check();
      await expect.poll(() => table.locator('tbody tr').count()).toBe(2);
    });

    it('offers the values of a chart as CSV and its picture as PNG, and the runs as CSV', async () => {
      const page = await open('run=alpha&compare=beta&sort=run');
      await image(page, /^Loss .*alpha 0\.1, beta/).waitFor();
      const download = async (name: string) => {
        const waiting = page.waitForEvent('download');
        await page.getByRole('button', { name, exact: true }).click();
        const file = await waiting;
        return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
      };
      const loss = await download('Loss as CSV');
      expect(loss.name).toBe('Loss.csv');
      const rows = parse<Record<string, string>>(loss.bytes, { columns: true });
      expect(rows).toHaveLength(20);
      expect(rows[9]).toEqual({
        step: '10',
        alpha: '0.2',
        beta: '',
        'alpha, test set': '0.5',
        'beta, test set': '',
      });
      expect(rows[3]).toMatchObject({ step: '4', alpha: '0.5', beta: '0.5' });
      const accuracy = await download('Accuracy as PNG');
      expect(accuracy.name).toBe('Accuracy.png');
      const { width, height, format } = await sharp(accuracy.bytes).metadata();
      expect(format).toBe('png');
      expect(width).toBeGreaterThan(300);
      expect(height).toBeGreaterThan(230);
      // It has a background, and the line's colour.
      const { data } = await sharp(accuracy.bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
      const colours = new Set<number>();
      for (let i = 0; i < data.length; i += 4) colours.add(data.readUInt32BE(i));
      expect(colours).toContain(0xff_ff_ff_ff);
      expect(colours).toContain(0x0b_6b_bd_ff);
      const runs = parse<Record<string, string>>((await download('Runs as CSV')).bytes, {
        columns: true,
      });
      expect(runs.find(({ run }) => run === 'beta')).toMatchObject({
        name: 'mnist',
        batchSize: '128',
        testAccuracy: '0.99',
      });
    });
  },
);
