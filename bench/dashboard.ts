/**
 * Measures the dashboard with a run of 100,000 steps: the time to load and draw the page, and the intervals between frames while
 * more steps arrive. The server runs in this process and the page in Chromium.
 */

import type * as Server from '../src/dashboard/server.js';
import { openBrowser } from '../test/support/browser.js';
import { runEvent, startEvent, statusEvent, stepEvent, workerStatus } from '../test/support/run-events.js';

// Uses the compiled server, which serves the page's compiled modules from its own folder.
const serverModule = new URL('../dist/dashboard/server.js', import.meta.url).href;
const { openDashboard } = (await import(serverModule)) as typeof Server;

const steps = 100_000;
const stepsPerSecond = 1_000;
const observedMs = 10_000;

const dashboard = await openDashboard({
  address: { host: '127.0.0.1', port: 0, anyPort: true },
  token: null,
  runs: 'runs',
  live: 'bench',
  warn: (message) => void process.stderr.write(`${message}\n`),
});
const syntheticStep = (step: number) =>
  stepEvent(step, { loss: 2 / (1 + step / 5_000) + 0.1 * Math.sin(step), epoch: 1 });
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
console.log(`page: loaded and drawn in ${loadMs.toFixed(0)} ms`);
console.log(
  `frames in ${observedMs / 1000} s at ${stepsPerSecond} steps per second: ${intervals.length}; ` +
    `interval ${percentile(0.5)} ms (median), ${percentile(0.99)} ms (99th percentile), ${percentile(1)} ms (maximum)`,
);
await browser.close();
await dashboard.close();
process.exit();
