import { describe, expect, it } from 'vitest';
import { documentedCostMs, lostTimes } from '../../src/chaos/lost-time.js';
import type { PlannedFault } from '../../src/chaos/scenario.js';
import type { Timed } from '../../src/chaos/training-process.js';
import { RunView } from '../../src/dashboard/run-view/run-view.js';
import { RunMetrics } from '../../src/dashboard/metrics.js';
import { EffectiveTime, formatRatio } from '../../src/shared/runs/effective-time.js';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { runEvent, startEvent, stepEvent } from '../support/run-events.js';

const base = 1_000_000;
/** The end of a step that took `seconds`, `atS` seconds after the start. */
const step = (number: number, atS: number, seconds: number): TimedEvent => ({
  ...stepEvent(number),
  seconds,
  timeMs: base + atS * 1000,
});
const generation = (atS: number): TimedEvent => ({
  event: 'generation',
  generation: 2,
  step: 1,
  seconds: 1,
  reason: 'membership',
  workers: [],
  timeMs: base + atS * 1000,
});
const evaluation = (number: number, atS: number): TimedEvent => ({
  event: 'eval',
  split: 'test',
  epoch: 1,
  step: number,
  loss: 1,
  metrics: {},
  count: 1,
  timeMs: base + atS * 1000,
});
const at = (event: TimedEvent, atS: number): TimedEvent => ({ ...event, timeMs: base + atS * 1000 });
const ended = (atS: number): TimedEvent => ({
  event: 'error',
  code: 'INTERRUPTED',
  message: '',
  timeMs: base + atS * 1000,
});

function timeOf(...events: TimedEvent[]): EffectiveTime {
  const time = new EffectiveTime();
  for (const event of events) time.note(event);
  return time;
}

describe('the effective training time ratio', () => {
  it('is 1 for an undisturbed run, whose start does not count', () => {
    const time = timeOf(at(runEvent(), 0), at(startEvent(), 10), step(1, 11, 1), step(2, 12, 1));
    expect(time.wallSeconds).toBeCloseTo(2);
    expect(time.ratio).toBe(1);
  });

  it('is null before the first step', () => {
    expect(timeOf(at(runEvent(), 0), at(startEvent(), 1)).ratio).toBeNull();
  });

  it('does not count the time from the last step of a generation to the start of the next', () => {
    // The steps end at 1, 2, 6 and 7. The generation begins at 5, so 3 of 7 seconds are lost.
    const time = timeOf(step(1, 1, 1), step(2, 2, 1), generation(5), step(3, 6, 1), step(4, 7, 1));
    expect(time.ratio).toBeCloseTo(4 / 7);
  });

  it('counts a repeated step once', () => {
    // After the step at 3 the run continues from step 1, and steps 2 and 3 are repeated.
    const time = timeOf(
      step(1, 1, 1),
      step(2, 2, 1),
      step(3, 3, 1),
      step(2, 4, 1),
      step(3, 5, 1),
      step(4, 6, 1),
    );
    expect(time.committedSeconds).toBeCloseTo(4);
    expect(time.ratio).toBeCloseTo(4 / 6);
  });

  it('leaves out evaluations, but not their repetitions', () => {
    const once = timeOf(step(1, 1, 1), evaluation(1, 4), step(2, 5, 1));
    expect(once.wallSeconds).toBeCloseTo(2);
    expect(once.ratio).toBeCloseTo(1);
    const repeated = timeOf(
      step(1, 1, 1),
      evaluation(1, 4),
      step(2, 5, 1),
      evaluation(1, 8),
      step(2, 9, 1),
      step(3, 10, 1),
    );
    expect(repeated.committedSeconds).toBeCloseTo(3);
    expect(repeated.wallSeconds).toBeCloseTo(7);
  });

  it('counts the part of an evaluation that a lost worker ended', () => {
    // The evaluation begins at 1, a new generation repeats it from 3 to 5.
    const time = timeOf(step(1, 1, 1), generation(3), evaluation(1, 5), step(2, 6, 1));
    expect(time.wallSeconds).toBeCloseTo(4);
    expect(time.ratio).toBeCloseTo(2 / 4);
  });

  it('counts the steps that workers commit without a coordinator', () => {
    const coordinator = at({ event: 'coordinator', pid: 7, timeMs: 0 }, 3.5);
    const burst = [step(2, 4, 0.1), step(3, 4, 0), step(4, 4, 0)];
    // The steps 2 to 4 took 3 s; the generation after the takeover begins at 6.
    const time = timeOf(step(1, 1, 1), coordinator, ...burst, generation(6), step(5, 7, 1));
    expect(time.committedSeconds).toBeCloseTo(5);
    expect(time.wallSeconds).toBeCloseTo(7);
    // Here the workers had stopped when the coordinator was lost.
    expect(timeOf(step(1, 1, 1), coordinator, generation(6), step(2, 7, 1)).committedSeconds).toBeCloseTo(2);
  });

  it('ends with the run and continues with the command that continues the run', () => {
    const stopped = timeOf(step(1, 1, 1), ended(2), at(runEvent(), 1002), step(2, 1004, 1));
    // 1 s to the end of the first command, and 1 s from the start of the second one to its first step.
    expect(stopped.wallSeconds).toBeCloseTo(4);
    const killed = timeOf(step(1, 1, 1), at(runEvent(), 1002), step(2, 1004, 1));
    expect(killed.wallSeconds).toBeCloseTo(1004);
  });

  it('is in the dashboard and among its metrics', async () => {
    const events = [step(1, 1, 1), step(2, 2, 1), generation(5), step(3, 6, 1)];
    const view = new RunView();
    const metrics = new RunMetrics();
    for (const event of events) {
      view.note(event);
      metrics.note(event);
    }
    expect(view.since().state?.ettr).toBeCloseTo(3 / 6);
    expect(await metrics.text()).toMatch(/^lockstep_effective_training_time_ratio 0\.5$/m);
  });

  it('is rounded down', () => {
    expect(formatRatio(0.96999)).toBe('96.9 %');
    expect(formatRatio(1)).toBe('100.0 %');
    expect(formatRatio(null)).toBe('–');
  });
});

describe('the time that a fault cost', () => {
  const planned = (kind: PlannedFault['kind']): PlannedFault => ({
    id: 'fault-1',
    kind,
    point: 'random',
    step: 1,
    rank: 0,
    request: undefined,
    trigger: undefined,
    delayMs: 0,
    wakesSoon: false,
    pauseMs: kind === 'pause' ? 2_000 : 0,
  });
  const fault = (kind: PlannedFault['kind'], atS: number) => ({
    planned: planned(kind),
    atMs: base + atS * 1000,
    pid: 1,
  });
  const timed = (...events: TimedEvent[]): Timed[] =>
    events.map((event) => ({ ...event, atMs: event.timeMs }));
  const checkpoint = at({ event: 'checkpoint', step: 3, path: '/c', timeMs: 0 }, 3);

  it('is the time without a new step, up to the next fault', () => {
    // Steps of 1 s. The fault at 2.5 ends a generation. After that at 7.5, step 4 is repeated. Step 7 is slow without a fault.
    const events = timed(
      step(1, 1, 1),
      step(2, 2, 1),
      generation(5),
      step(3, 6, 1),
      step(4, 7, 1),
      at(runEvent(), 10),
      step(4, 13, 1),
      step(5, 14, 1),
      step(6, 15, 1),
      step(7, 18, 1),
      step(8, 19, 1),
      step(9, 20, 1),
    );
    const faults = [fault('kill', 2.5), fault('resume', 7.5), fault('duplicate', 18.5)];
    expect(lostTimes(faults, events)).toEqual([3_000, 6_000, 0]);
  });

  it('does not include steps that were reported late', () => {
    // The coordinator is lost at 2.5. The steps 3 to 6 end at 3 to 6 and are reported at 8; step 7 ends at 9.
    const burst = [step(3, 8, 6), step(4, 8, 0), step(5, 8, 0), step(6, 8, 0)];
    const events = timed(
      step(1, 1, 1),
      step(2, 2, 1),
      ...burst,
      ...[7, 8, 9, 10, 11].map((number) => step(number, number + 2, 1)),
    );
    // The steps take 4 s of the 6 s. The pause of 1 s before step 7 is no longer than a step.
    expect(lostTimes([fault('coordinator', 2.5)], events)).toEqual([2_000]);
  });

  it('is documented as the duration, the timeout or the restart', () => {
    const events = timed(step(1, 1, 1), step(2, 2, 1), checkpoint, step(3, 4, 1));
    const times = { restartMs: 4_000, peerTimeoutMs: 10_000 };
    const cost = (kind: PlannedFault['kind']): number => documentedCostMs(fault(kind, 5), events, times);
    expect(cost('kill')).toBe(0);
    expect(cost('stop')).toBe(10_000);
    expect(cost('drop')).toBe(3_000);
    expect(cost('pause')).toBe(2_000);
    expect(cost('storm')).toBe(4_000);
    // The 2 s since the checkpoint are repeated.
    expect(cost('resume')).toBe(6_000);
  });
});
