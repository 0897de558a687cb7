import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { chromiumPath, noChromium, openBrowser } from '../support/browser.js';
import { lockstep, Lockstep, temporaryFolder } from '../support/lockstep.js';

/** A net that knows MNIST well enough for plain strokes after 300 steps. */
const config = `import { defineTraining } from 'lockstep';
export default defineTraining({
  batchSize: 128,
  optimizer: { kind: 'adam', learningRate: 0.003 },
  model: ({ tf }) =>
    tf.sequential({
      layers: [
        tf.layers.conv2d({ inputShape: [28, 28, 1], filters: 8, kernelSize: 5, strides: 2, activation: 'relu' }),
        tf.layers.flatten(),
        tf.layers.dense({ units: 64, activation: 'relu' }),
        tf.layers.dense({ units: 10 }),
      ],
    }),
});
`;

async function trained(): Promise<string> {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'lockstep.config.ts'), config);
  const out = join(folder, 'run');
  const args = ['--config', join(folder, 'lockstep.config.ts'), '--max-steps', '300', '--single-process'];
  const { status } = await lockstep(['train', ...args, '--evaluate', 'none', '--out', out, '--json']);
  expect(status).toBe(0);
  return out;
}

/** Starts the demo; gives its address. */
async function serve(run: string): Promise<{ command: Lockstep; url: string }> {
  const command = new Lockstep(['demo', run, '--json']);
  const { url } = await command.event('demo' as never, () => true);
  return { command, url };
}

describe('lockstep demo', () => {
  /** Moves the pointer through these points of the pad, in parts of its size. */
  async function stroke(page: Page, points: readonly (readonly [number, number])[]): Promise<void> {
    const box = (await page.locator('#pad').boundingBox())!;
    const [[x0, y0] = [0, 0], ...rest] = points.map(([x, y]) => [
      box.x + x * box.width,
      box.y + y * box.height,
    ]);
    await page.mouse.move(x0!, y0!);
    await page.mouse.down();
    for (const [x, y] of rest) await page.mouse.move(x!, y!, { steps: 5 });
    await page.mouse.up();
  }

  it.skipIf(chromiumPath === undefined)(
    `recognises what is drawn with the mouse or a finger, without asking anybody else${chromiumPath === undefined ? ` (${noChromium})` : ''}`,
    async () => {
      const { command, url } = await serve(await trained());
      const context = await openBrowser({ width: 390, height: 800, touch: true });
      const page = await context.newPage();
      const asked: string[] = [];
      const complaints: string[] = [];
      page.on('request', (request) => asked.push(request.url()));
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.goto(url);
      const best = page.locator('#best');
      await best.filter({ hasText: 'Nothing drawn yet' }).waitFor();

      await stroke(page, [
        [0.52, 0.2],
        [0.5, 0.8],
      ]);
      await page.locator('#best b').waitFor();
      expect(await page.locator('#best b').textContent()).toBe('1');
      expect(await page.locator('#classes li').count()).toBe(10);

      await page.getByRole('button', { name: 'Clear' }).click();
      await best.filter({ hasText: 'Nothing drawn yet' }).waitFor();
      const round = Array.from({ length: 25 }, (_, i) => {
        const angle = (i / 24) * 2 * Math.PI;
        return [0.5 + 0.2 * Math.sin(angle), 0.5 - 0.3 * Math.cos(angle)] as const;
      });
      await stroke(page, round);
      expect(await page.locator('#best b').textContent()).toBe('0');

      // A finger: touch comes as pointer events too, and may not scroll the page away under it.
      await page.getByRole('button', { name: 'Clear' }).click();
      const touch = await context.newCDPSession(page);
      const box = (await page.locator('#pad').boundingBox())!;
      const finger = (type: string, y?: number) =>
        touch.send('Input.dispatchTouchEvent', {
          type: type as 'touchStart',
          touchPoints: y === undefined ? [] : [{ x: box.x + box.width / 2, y: box.y + y * box.height }],
        });
      await finger('touchStart', 0.2);
      for (const y of [0.3, 0.45, 0.6, 0.75]) await finger('touchMove', y);
      await finger('touchEnd');
      await page.locator('#best b').waitFor();
      expect(await page.locator('#best b').textContent()).toBe('1');
      expect(await page.evaluate('scrollY')).toBe(0);

      expect(complaints).toEqual([]);
      expect(asked.filter((address) => !address.startsWith(url) && !address.startsWith('data:'))).toEqual([]);
      await context.close();
      command.kill('SIGINT');
      expect(await command.ended).toMatchObject({ status: 0, stderr: '' });
    },
  );

  it('serves its own files only, and reports an invalid port or model', async () => {
    const folder = await temporaryFolder();
    const model = { modelTopology: { class_name: 'Sequential' }, weightsManifest: [] };
    await mkdir(join(folder, 'model'));
    await writeFile(join(folder, 'model', 'model.json'), JSON.stringify(model));
    await writeFile(join(folder, 'secret.txt'), 'secret');
    const { command, url } = await serve(folder);
    expect((await fetch(url)).status).toBe(200);
    expect(await (await fetch(new URL('about.json', url))).json()).toEqual({
      normalize: { mean: 0.5, std: 0.5 },
    });
    for (const path of ['secret.txt', 'model/../secret.txt', 'model/%2e%2e/secret.txt', '..%2fpackage.json'])
      expect((await fetch(new URL(path, url))).status).toBe(404);
    expect((await fetch(url, { method: 'POST' })).status).toBe(405);
    const taken = await lockstep(['demo', folder, '--port', new URL(url).port]);
    expect(taken).toMatchObject({ status: 2 });
    expect(taken.stderr).toMatch(/^Error \(CONFIG\): Address 127\.0\.0\.1:\d+.*EADDRINUSE/);
    const none = await lockstep(['demo', join(folder, 'none')]);
    expect(none).toMatchObject({ status: 2 });
    expect(none.stderr).toMatch(/^Error \(MODEL\)/);
    command.kill('SIGTERM');
    expect(await command.ended).toMatchObject({ status: 0 });
  });
});
