/**
 * The dashboard with a long run: how long the page takes to load and to show 100,000 steps, and how smooth it stays while steps
 * go on coming. Serves it from a process of its own, as training does, and looks at it with Chromium.
 */

import type * as Server from '../src/dashboard/server.js';
import { openBrowser } from '../test/support/browser.js';
import { runEvent, startEvent, statusEvent, stepEvent, workerStatus } from '../test/support/run-events.js';

// The built one: the page's modules are files beside it.
const built = new URL('../dist/dashboard/server.js', import.meta.url).href;
const { openDashboard } = (await import(built)) as typeof Server;

const steps = 100_000;
const stepsPerSecond = 1_000;
const watchedMs = 10_000;

const dashboard = await openDashboard({
  address: { host: '127.0.0.1', port: 0, anyPort: true },
  token: null,
  runs: 'runs',
  live: 'bench',
});
const wave = (step: number) =>
  stepEvent(step, { loss: 2 / (1 + step / 5_000) + 0.1 * Math.sin(step), epoch: 1 });
dashboard.emit(runEvent());
dashboard.emit(startEvent(2 * steps));
const began = performance.now();
let step = 1;
for (; step <= steps; step++) dashboard.emit(wave(step));
const feedMs = performance.now() - began;

const browser = await openBrowser();
const page = await browser.newPage();
const opened = performance.now();
await page.goto(dashboard.url);
await page.getByRole('img', { name: /^Loss over [\d,]+ points/ }).waitFor();
const loadMs = performance.now() - opened;

const timer = setInterval(() => {
  for (let i = 0; i < stepsPerSecond / 20; i++) dashboard.emit(wave(step++));
  dashboard.emit(
    statusEvent(workerStatus(0, { forward: 30, backward: 40 }), workerStatus(1, { forward: 30 })),
  );
}, 50);
const gaps = await page.evaluate<number[]>(`new Promise((resolve) => {
  const gaps = [];
  let last = performance.now();
  const end = last + ${watchedMs};
  const frame = (now) => {
    gaps.push(now - last);
    last = now;
    if (now < end) requestAnimationFrame(frame);
    else resolve(gaps);
  };
  requestAnimationFrame(frame);
})`);
clearInterval(timer);
gaps.sort((a, b) => a - b);
const at = (share: number): string => (gaps[Math.floor(share * (gaps.length - 1))] ?? 0).toFixed(1);
console.log(
  `${steps} steps taken in by the server: ${((1000 * feedMs) / steps).toFixed(1)} microseconds each`,
);
console.log(`page opened and drawn with them: ${loadMs.toFixed(0)} ms`);
console.log(
  `frames over ${watchedMs / 1000} s with ${stepsPerSecond} more steps a second: ${gaps.length}, ` +
    `between two of them ${at(0.5)} ms (median), ${at(0.99)} ms (99 %), ${at(1)} ms (longest)`,
);
await browser.close();
await dashboard.close();
process.exit();
