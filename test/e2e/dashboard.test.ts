import { mkdir, writeFile } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { afterEach, describe, expect, it } from 'vitest';
import type { NamedHistogram } from '../../src/shared/runs/histogram.js';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { chromiumPath, noChromium, openBrowser, type BrowserOptions } from '../support/browser.js';
import { seriousFindings, watchFaults } from '../support/dashboard-page.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../support/free-port.js';
import { encodeLabels } from '../support/idx-files.js';
import { Lockstep, temporaryFolder } from '../support/lockstep.js';
import { parseMetrics } from '../support/prometheus.js';
import { runEvent, startEvent, statusEvent, stepEvent, workerStatus } from '../support/run-events.js';
import { writeSmallTraining } from '../support/small-training.js';

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** Opens a page that fails the test on a script error, a console error, or a request to another server. */
async function openPage(url: string, options: BrowserOptions = {}): Promise<Page> {
  const browser = await openBrowser(options);
  closing.push(() => browser.close());
  const page = await browser.newPage();
  const wrong = watchFaults(page, url);
  closing.push(() => {
    expect(wrong).toEqual([]);
    return Promise.resolve();
  });
  await page.goto(url);
  return page;
}

/** Writes a run of `steps` steps, in which a worker was lost, and another run to compare it with. */
async function writeRuns(folder: string, steps: number): Promise<void> {
  const lost: TimedEvent = {
    event: 'worker',
    state: 'lost',
    rank: 1,
    pid: 101,
    host: 'box',
    device: 'CPU',
    engine: '',
    generation: 1,
    reason: 'Worker lost: rank 1 was killed by SIGKILL.',
    timeMs: 1_002_000,
  };
  const histogram: NamedHistogram = {
    kind: 'weights',
    name: 'batch_normalization_BatchNormalization1/moving_variance',
    histogram: { min: -1, max: 1, count: 4, sum: 0, sumOfSquares: 2, buckets: [1, 2, 1] },
  };
  const sample = {
    index: 7,
    label: 3,
    predicted: 5,
    confidence: 0.91,
    pixels: Buffer.alloc(784, 90).toString('base64'),
  };
  const layers = [
    {
      name: 'a_dense_layer_with_a_long_name',
      kind: 'Dense',
      inputs: ['b'],
      shape: [null, 10],
      parameters: 7,
    },
  ];
  for (const name of ['one', 'two']) {
    const events: TimedEvent[] = [
      { ...runEvent(), timeMs: name === 'one' ? 1_000_001 : 1_000_000 },
      ...[0, 1].map((rank): TimedEvent => ({
        ...lost,
        state: 'joined',
        rank,
        pid: 100 + rank,
        timeMs: 1_000_100,
      })),
      startEvent(steps),
      ...Array.from({ length: steps }, (_, i) => stepEvent(i + 1)),
      statusEvent(
        { ...workerStatus(0, { forward: 20, backward: 30 }), usage: { cores: 0.9, memoryBytes: 7e8 } },
        { ...workerStatus(1, { forward: 20, waitGradients: 30 }), usage: { cores: 0.8, memoryBytes: 6e8 } },
      ),
      { event: 'model', layers, timeMs: 1_000_500 },
      { event: 'scalars', step: 50, values: { 'my/value': 1 }, timeMs: 1_001_000 },
      { event: 'histograms', step: 50, histograms: [histogram], timeMs: 1_001_000 },
      lost,
      {
        event: 'generation',
        generation: 2,
        step: steps,
        seconds: 0.7,
        reason: 'membership',
        workers: [],
        timeMs: 1_002_700,
      },
      {
        event: 'eval',
        split: 'test',
        epoch: 1,
        step: steps,
        loss: 0.1,
        metrics: { accuracy: 0.99, meanAbsoluteError: 0.25 },
        accuracy: 0.99,
        correct: 99,
        count: 100,
        timeMs: 1_003_000,
      },
      {
        event: 'confusion',
        split: 'test',
        epoch: 1,
        step: steps,
        rank: 0,
        generation: 1,
        classes: ['0', '1'],
        cells: [
          { label: 0, predicted: 0, count: 49 },
          { label: 0, predicted: 1, count: 1 },
          { label: 1, predicted: 1, count: 50 },
        ],
        timeMs: 1_003_000,
      },
      {
        event: 'misclassified',
        split: 'test',
        epoch: 1,
        step: 50,
        rank: 0,
        samples: [sample],
        picture: { width: 28, height: 28, channels: 1 },
        timeMs: 1_003_001,
      },
    ];
    await mkdir(join(folder, name), { recursive: true });
    await writeFile(
      join(folder, name, 'events.ndjson'),
      events.map((event) => `${JSON.stringify(event)}\n`).join(''),
    );
  }
}

async function serve(folder: string, listen: string): Promise<string> {
  const command = new Lockstep(['dashboard', folder, '--listen', listen]);
  return eventually('the address', () => /Dashboard: (\S+)/.exec(command.stdout)?.[1]);
}

describe('lockstep train --dashboard', () => {
  it('shows a run and its metrics during training, and ends with it', async () => {
    const folder = await temporaryFolder();
    const { config, data } = await writeSmallTraining(folder, { count: 6400 });
    // Labels of other digits guarantee that some examples are misclassified.
    const labels = Array.from({ length: 20 }, (_, i) => (i + 1) % 10);
    await writeFile(join(data, 't10k-labels-idx1-ubyte'), encodeLabels(labels));
    const run = new Lockstep([
      'train',
      '--config',
      config,
      '--workers',
      '2',
      '--threads',
      '1',
      '--epochs',
      '500',
      '--json',
      '--out',
      join(folder, 'runs', 'live'),
      '--dashboard',
      '0',
    ]);
    const { url } = await run.event('dashboard');
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    await run.event('eval');
    await run.event('step', ({ step }) => step > 120);

    const metrics = await eventually('a status', async () => {
      const found = parseMetrics(await (await fetch(`${url}metrics`)).text());
      return found.has('lockstep_worker_step') ? found : undefined;
    });
    const value = (name: string): number => Number(metrics.get(name)?.metrics[0]?.value);
    expect(value('lockstep_steps_total')).toBeGreaterThan(100);
    expect(value('lockstep_images_total')).toBe(64 * value('lockstep_steps_total'));
    expect(value('lockstep_workers')).toBe(2);

    if (chromiumPath !== undefined) {
      const page = await openPage(url);
      await page.getByText('Training', { exact: true }).waitFor();
      await page.getByRole('img', { name: /^Loss over .* At the last step: this run \d/ }).waitFor();
      const before = await page.locator('#progress-text').textContent();
      await eventually('another step', async () =>
        (await page.locator('#progress-text').textContent()) === before ? undefined : true,
      );
      await page.getByRole('row', { name: /^0 training CPU/ }).waitFor();
      await page.getByRole('row', { name: /^1 training CPU/ }).waitFor();
      await page.locator('.misclassified canvas').first().waitFor();
      run.kill('SIGINT');
      await page.getByText('Interrupted', { exact: true }).waitFor();
    } else run.kill('SIGINT');
    expect((await run.ended).status).toBe(130);
    await expect(fetch(url)).rejects.toThrow();
  });
});

describe.skipIf(chromiumPath === undefined)(
  `the dashboard in Chromium (${chromiumPath ?? noChromium})`,
  () => {
    it('is accessible at any width, light or dark, and never wider than its window', async () => {
      const folder = await temporaryFolder();
      await writeRuns(folder, 50);
      const url = await serve(folder, '0');
      for (const [width, dark] of [
        [1280, false],
        [1280, true],
        [390, false],
        [390, true],
      ] as const) {
        const page = await openPage(`${url}#run=one`, { width, dark, touch: width < 500 });
        await page.getByRole('img', { name: /^Loss over 50 points/ }).waitFor();
        await page.getByText('Loss as a table').click();
        await page.getByText('Histograms of weights and gradients').click();
        await page.getByRole('img', { name: /^Histograms of weights batch_norm/ }).waitFor();
        await page.getByRole('checkbox', { name: 'Compare with two' }).check();
        await page.getByText('0 fields differ between these runs.').waitFor();
        expect(await seriousFindings(page)).toEqual([]);
        // On a phone the window itself becomes wider with its content.
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
        await page.context().close();
      }
    });

    it('can be used by keyboard alone, describes its charts in text, and compares runs', async () => {
      const folder = await temporaryFolder();
      await writeRuns(folder, 50);
      const page = await openPage(`${await serve(folder, '0')}#run=one`);
      await page
        .getByRole('img', { name: /^Loss .* At the last step: this run 0.04, test set 0.1\./ })
        .waitFor();
      await page.getByRole('img', { name: /^Accuracy .*: test set 99.00 %\./ }).waitFor();
      await page.getByRole('img', { name: /^Mean absolute error .*: test set 0.25\./ }).waitFor();
      await page.getByRole('slider', { name: 'Step', exact: true }).focus();
      await page.keyboard.press('Home');
      await page.keyboard.press('ArrowRight');
      await page
        .getByRole('img', { name: 'Loss over 50 points. At step 2: this run 1, test set –.' })
        .waitFor();
      await page.getByText('Loss as a table').press('Enter');
      await page.getByRole('row', { name: '1 2 –', exact: true }).waitFor();
      await page.getByText('Worker lost: rank 1 was killed by SIGKILL.').waitFor();
      await page.getByRole('img', { name: 'Timeline of 2 worker processes, 1 of them lost.' }).waitFor();
      await page.getByRole('img', { name: 'Picture 7, a 3' }).waitFor();
      await page.getByRole('checkbox', { name: 'Compare with two' }).press('Space');
      await page
        .getByRole('img', {
          name: /^Loss over 50 points. At step 2: one 1, two 1, one, test set –, two, test set –/,
        })
        .waitFor();
    });

    it('shows every label of an axis completely, also 100 %', async () => {
      const folder = await temporaryFolder();
      await writeRuns(folder, 50);
      const evaluation = (step: number, accuracy: number): string =>
        `${JSON.stringify({
          event: 'eval',
          split: 'test',
          epoch: 1,
          step,
          loss: 0.1,
          metrics: { accuracy },
          accuracy,
          correct: accuracy * 100,
          count: 100,
          timeMs: 1_003_002,
        })}\n`;
      const log = join(folder, 'one', 'events.ndjson');
      await writeFile(log, evaluation(60, 0.9) + evaluation(70, 1), { flag: 'a' });
      const page = await openPage(`${await serve(folder, '0')}#run=one`);
      const chart = page.getByRole('img', { name: /^Accuracy .*: test set 100.00 %\./ });
      await chart.waitFor();
      // An expression as text, since this file has no DOM types: the inked pixels at the left edge and beside it.
      const inked = await page.evaluate<{ edge: number; labels: number }>(`(() => {
        const figures = [...document.querySelectorAll('figure')];
        const canvas = figures.find((figure) => figure.textContent.startsWith('Accuracy')).querySelector('canvas');
        const inkOf = (from, width) =>
          canvas.getContext('2d').getImageData(from, 0, width, canvas.height).data
            .filter((value, i) => i % 4 === 3 && value > 0).length;
        return { edge: inkOf(0, 2), labels: inkOf(2, 50) };
      })()`);
      expect(inked.labels).toBeGreaterThan(0);
      // A label that is cut off reaches the edge of the canvas.
      expect(inked.edge).toBe(0);
    });

    it('needs little to load: under 600 kB in under 25 requests', async () => {
      const folder = await temporaryFolder();
      await writeRuns(folder, 2_000);
      const page = await openPage(`${await serve(folder, '0')}#run=one`);
      await page.getByRole('img', { name: /^Loss over 2,000 points/ }).waitFor();
      const [transferred, requests] = await page.evaluate<[number, number]>(
        `[performance.getEntriesByType('resource'), performance.getEntriesByType('navigation')]
        .flat().reduce(([bytes, count], { encodedBodySize }) => [bytes + encodedBodySize, count + 1], [0, 0])`,
      );
      // Times depend on the load of the machine; the loaded files do not.
      expect(transferred).toBeLessThan(600_000);
      expect(requests).toBeLessThan(25);
    });
  },
);

describe('the dashboard on other addresses', () => {
  it('requires a token, and gives a browser that has it a cookie', async () => {
    const folder = await temporaryFolder();
    await writeRuns(folder, 3);
    const own = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal)?.address;
    const entrance = await serve(folder, `0.0.0.0:${await freePort()}`);
    const token = new URL(entrance).searchParams.get('token') ?? '';
    expect(token).toMatch(/^[\w-]{24}$/);
    const base = `http://${own ?? 'localhost'}:${new URL(entrance).port}`;
    for (const path of ['/', '/api/runs', '/metrics', '/style.css', '/?token=wrong'])
      expect((await fetch(base + path)).status, path).toBe(401);
    const bearer = { headers: { authorization: `Bearer ${token}` } };
    expect((await fetch(`${base}/metrics`, bearer)).status).toBe(200);
    const entered = await fetch(`${base}/?token=${token}`, { redirect: 'manual' });
    expect([entered.status, entered.headers.get('location')]).toEqual([302, '/']);
    const cookie = entered.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/HttpOnly.*SameSite=Strict/);
    const page = await fetch(`${base}/`, { headers: { cookie: cookie.split(';')[0] ?? '' } });
    expect([page.status, page.headers.get('content-security-policy')]).toEqual([
      200,
      expect.stringContaining("default-src 'none'"),
    ]);
  });

  it('refuses names of other hosts on loopback, and serves its own files only', async () => {
    const folder = await temporaryFolder();
    const url = new URL(await serve(folder, '0'));
    const { request } = await import('node:http');
    const statusOf = (path: string, host: string): Promise<number | undefined> =>
      new Promise((resolve, reject) => {
        request({ port: url.port, host: '127.0.0.1', path, headers: { host } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
    expect(await statusOf('/', 'localhost')).toBe(200);
    expect(await statusOf('/', 'evil.example')).toBe(421);
    for (const path of [
      '/../package.json',
      '/api/runs/..%2f..%2fetc',
      '/api/runs/..',
      '/api/runs/none',
      '/dashboard/server.js',
    ])
      expect(await statusOf(path, 'localhost'), path).toBe(404);
  });

  it('refuses an address that is in use or invalid', async () => {
    const folder = await temporaryFolder();
    const port = new URL(await serve(folder, '0')).port;
    for (const [listen, message] of [
      [port, /--dashboard: 127\.0\.0\.1:\d+ cannot be bound \(EADDRINUSE\)/],
      ['nonsense', /--dashboard: expected a port or HOST:PORT, got "nonsense"/],
    ] as const) {
      const { status, stderr } = await new Lockstep(['dashboard', folder, '--listen', listen]).ended;
      expect(stderr).toMatch(message);
      expect(status).toBe(2);
    }
  });
});
