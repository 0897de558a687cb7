/**
 * Measures the dashboard with 100 runs, of which the live one has 100,000 steps: the time to load and draw the page and the table of
 * runs, the time of a search and of smoothing, and the intervals between frames while more steps arrive. The server runs in this process
 * and the page in Chromium.
 */

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as Server from '../src/dashboard/server.js';
import { openBrowser } from '../test/support/browser.js';
import {
  evalEvent,
  runEvent,
  startEvent,
  statusEvent,
  stepEvent,
  workerStatus,
} from '../test/support/run-events.js';

// Uses the compiled server, which serves the page's compiled modules from its own folder.
const serverModule = new URL('../dist/dashboard/server.js', import.meta.url).href;
const { openDashboard } = (await import(serverModule)) as typeof Server;

const steps = 100_000;
const runs = 100;
const stepsOfOthers = 1_000;
const stepsPerSecond = 1_000;
const observedMs = 10_000;

const syntheticStep = (step: number) =>
  stepEvent(step, { loss: 2 / (1 + step / 5_000) + 0.1 * Math.sin(step), epoch: 1 });
const folder = await mkdtemp(join(tmpdir(), 'lockstep-bench-'));
for (let run = 1; run <= runs; run++) {
  const name = run === runs ? 'bench' : `run-${String(run).padStart(3, '0')}`;
  const count = run === runs ? 0 : stepsOfOthers;
  const trained = Array.from({ length: count }, (_, i) => syntheticStep(i + 1));
  const events = [runEvent(), startEvent(stepsOfOthers), ...trained, evalEvent(stepsOfOthers, run / runs)];
  await mkdir(join(folder, name));
  await writeFile(
    join(folder, name, 'events.ndjson'),
    events.map((event) => `${JSON.stringify(event)}\n`).join(''),
  );
}

const dashboard = await openDashboard({
  address: { host: '127.0.0.1', port: 0, anyPort: true },
  token: null,
  runs: folder,
  live: 'bench',
  warn: (message) => void process.stderr.write(`${message}\n`),
});
dashboard.emit(runEvent());
dashboard.emit(startEvent(2 * steps));
const feedStartMs = performance.now();
let step = 1;
for (; step <= steps; step++) dashboard.emit(syntheticStep(step));
const feedMs = performance.now() - feedStartMs;

const browser = await openBrowser();
const page = await browser.newPage();
const openedMs = performance.now();
await page.goto(dashboard.url);
await page.getByRole('img', { name: /^Loss over [\d,]+ points/ }).waitFor();
const loadMs = performance.now() - openedMs;
await page.getByText(`${runs} runs`).waitFor();
const tableMs = performance.now() - openedMs;

/** Milliseconds until the page is drawn after a change of a field. */
const drawnAfter = (id: string, value: string): Promise<number> =>
  page.evaluate<number>(`new Promise((resolve) => {
    const field = document.getElementById(${JSON.stringify(id)});
    const start = performance.now();
    field.value = ${JSON.stringify(value)};
    field.dispatchEvent(new Event('input'));
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now() - start)));
  })`);
const searchMs = await drawnAfter('runs-search', 'testAccuracy>50%');
const smoothingMs = await drawnAfter('smoothing', '0.9');

const timer = setInterval(() => {
  for (let i = 0; i < stepsPerSecond / 20; i++) dashboard.emit(syntheticStep(step++));
  dashboard.emit(
    statusEvent(workerStatus(0, { forward: 30, backward: 40 }), workerStatus(1, { forward: 30 })),
  );
}, 50);
const intervals = await page.evaluate<number[]>(`new Promise((resolve) => {
  const gaps = [];
  let last = performance.now();
  const end = last + ${observedMs};
  const frame = (now) => {
    gaps.push(now - last);
    last = now;
    if (now < end) requestAnimationFrame(frame);
    else resolve(gaps);
  };
  requestAnimationFrame(frame);
})`);
clearInterval(timer);
intervals.sort((a, b) => a - b);
const percentile = (fraction: number): string =>
  (intervals[Math.floor(fraction * (intervals.length - 1))] ?? 0).toFixed(1);
console.log(
  `server: ${steps} steps processed, ${((1000 * feedMs) / steps).toFixed(1)} microseconds per step`,
);
console.log(
  `page: loaded and drawn in ${loadMs.toFixed(0)} ms, with the table of ${runs} runs in ${tableMs.toFixed(0)} ms`,
);
console.log(`a search is drawn in ${searchMs.toFixed(0)} ms, and smoothing in ${smoothingMs.toFixed(0)} ms`);
console.log(
  `frames in ${observedMs / 1000} s at ${stepsPerSecond} steps per second: ${intervals.length}; ` +
    `interval ${percentile(0.5)} ms (median), ${percentile(0.99)} ms (99th percentile), ${percentile(1)} ms (maximum)`,
);
console.log(`load of the machine: ${(loadavg()[0] ?? 0).toFixed(1)}`);
await browser.close();
await dashboard.close();
await rm(folder, { recursive: true });
process.exit();
