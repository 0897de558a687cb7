import { describe, expect, it } from 'vitest';
import { totalOf } from '../../src/shared/timeline/step-parts.js';
import { StepPartClock } from '../../src/worker/timing/step-part-clock.js';

describe("the clock of a step's parts", () => {
  it('counts nested time for the inner interval only, and each millisecond of a step for one part', () => {
    let nowMs = 1000;
    const pass = (ms: number): void => void (nowMs += ms);
    const clock = new StepPartClock(() => nowMs);
    clock.step(() => {
      pass(1);
      clock.measure('forward', 'conv', () => {
        pass(10);
        clock.measure('waitBatchNorm', 'bn', () => pass(5));
        pass(2);
      });
      clock.measure('update', 'adam', () => pass(7));
    });
    expect(clock.times).toMatchObject({ forward: 12, waitBatchNorm: 5, update: 7, other: 1, backward: 0 });
    expect(totalOf(clock.times)).toBe(25);
  });

  it('starts again with each step, also after a failed step', () => {
    let nowMs = 0;
    const clock = new StepPartClock(() => nowMs);
    const failing = (): void =>
      clock.step(() =>
        clock.measure('backward', 'dense', () => {
          nowMs += 3;
          throw new Error('aborted');
        }),
      );
    expect(failing).toThrow('aborted');
    expect(clock.times).toMatchObject({ backward: 3, other: 0 });
    clock.measure('data', 'outside of a step', () => (nowMs += 50));
    clock.step(() => (nowMs += 4));
    expect(clock.times).toMatchObject({ backward: 0, data: 0, other: 4 });
  });
});
