/**
 * Takes the screenshots of the dashboard in docs/ with Chromium, at desktop and phone width, in light and dark colors:
 * `npm run screenshots -- RUNS RUN [OTHER]`. RUNS is the folder of the runs, RUN the run to show, and OTHER a run to compare with it.
 */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import type * as Server from '../src/dashboard/server.js';
import { openBrowser } from '../test/support/browser.js';

const [runs, run, other] = process.argv.slice(2);
if (runs === undefined || run === undefined)
  throw new Error('usage: npm run screenshots -- RUNS RUN [OTHER]');

// Uses the compiled server, which serves the page's compiled modules from its own folder.
const serverModule = new URL('../dist/dashboard/server.js', import.meta.url).href;
const { openDashboard } = (await import(serverModule)) as typeof Server;
const docs = fileURLToPath(new URL('../docs', import.meta.url));

const dashboard = await openDashboard({
  address: { host: '127.0.0.1', port: 0, anyPort: true },
  token: null,
  runs,
  live: null,
  warn: (message) => void process.stderr.write(`${message}\n`),
});
for (const { name, width, height, touch } of [
  { name: 'desk', width: 1280, height: 1000, touch: false },
  { name: 'phone', width: 390, height: 1000, touch: true },
]) {
  for (const dark of [false, true]) {
    const browser = await openBrowser({ width, height, dark, touch });
    const page = await browser.newPage();
    await page.goto(`${dashboard.url}#run=${encodeURIComponent(run)}`);
    await page.getByRole('img', { name: /^Loss over [\d,]+ points/ }).waitFor();
    if (other !== undefined) {
      await page.getByRole('checkbox', { name: `Compare with ${other}` }).check();
      await page.getByRole('img', { name: new RegExp(`^Loss over .*${other}`) }).waitFor();
      await page.evaluate('document.activeElement.blur(); scrollTo(0, 0)');
    }
    const screenshot = await page.screenshot();
    const small = await sharp(screenshot).png({ palette: true, colours: 64, compressionLevel: 9 }).toBuffer();
    const file = join(docs, `dashboard-${name}-${dark ? 'dark' : 'light'}.png`);
    await writeFile(file, small);
    const fullPage = join(runs, `full-${name}-${dark ? 'dark' : 'light'}.png`);
    await page.screenshot({ path: fullPage, fullPage: true });
    console.log(`${file}: ${small.length} bytes; full page: ${fullPage}`);
    await browser.close();
  }
}
await dashboard.close();
process.exit();
