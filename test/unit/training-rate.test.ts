import { expect, it } from 'vitest';
import { noTimes } from '../../src/shared/timeline/step-parts.js';
import { CoordinatedRun } from '../support/coordinated-run.js';

/** Commits one step after each gap, on a training set of 100 samples; returns the last reported rate. */
function rateAfter(gapsMs: readonly number[], batchSize = 50): number {
  const run = CoordinatedRun.running(1, { batchSize, maxSteps: 100_000, epochs: 1_000_000 });
  for (const [i, gap] of gapsMs.entries()) {
    run.nowMs += gap;
    run.say('a', {
      type: 'committed',
      generation: 1,
      step: i + 1,
      epoch: 1,
      loss: 1,
      learningRate: 0.1,
    });
  }
  const rates = run.actions.flatMap((action) =>
    action.kind === 'emit' && action.event.event === 'step' ? [action.event.imagesPerSecond] : [],
  );
  return rates.at(-1) ?? 0;
}

it('the rate of steps of equal length is that of each step', () => {
  expect(rateAfter(Array.from({ length: 50 }, () => 40))).toBeCloseTo(1250, 6);
});

it('a short last batch counts by its samples', () => {
  // 40, 40 and 20 samples in 40 ms each.
  const rate = rateAfter(
    Array.from({ length: 300 }, () => 40),
    40,
  );
  expect(Math.abs(rate / (100 / 0.12) - 1)).toBeLessThan(0.05);
});

it('the rate stays near the mean when reports arrive in bursts', () => {
  // Two reports every 90 ms, the second one microseconds after the first: 100 samples in 90 ms.
  const gaps = Array.from({ length: 400 }, (_, i) => (i % 2 === 0 ? 89.99 : 0.01));
  const mean = 100 / 0.09;
  expect(rateAfter(gaps)).toBeGreaterThan(mean * 0.9);
  expect(rateAfter(gaps)).toBeLessThan(mean * 1.1);
});

it('the time in which members share their state belongs to no step', () => {
  const run = CoordinatedRun.running(1, { batchSize: 50, maxSteps: 100_000, epochs: 1_000_000 });
  const times = { ...noTimes(), forward: 300, other: 100 };
  // The transfer of the state takes 9.6 s, and both steps take 0.4 s; 0.1 s passes between them.
  for (const [step, gapMs] of [
    [1, 10_000],
    [2, 500],
  ] as const) {
    run.nowMs += gapMs;
    run.say('a', { type: 'committed', generation: 1, step, epoch: 1, loss: 1, learningRate: 0.1, times });
  }
  const seconds = run.actions.flatMap((action) =>
    action.kind === 'emit' && action.event.event === 'step' ? [action.event.seconds] : [],
  );
  expect(seconds).toEqual([0.4, 0.5]);
});
