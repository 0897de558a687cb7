import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { listRuns, newestRun } from '../../src/shared/runs/run-list.js';
import { RunView } from '../../src/dashboard/run-view/run-view.js';
import { temporaryFolder } from '../support/lockstep.js';
import { runEvent, startEvent, statusEvent, stepEvent, workerStatus } from '../support/run-events.js';

const worker = (state: 'joined' | 'lost', pid: number, timeMs: number): TimedEvent => ({
  event: 'worker',
  state,
  rank: 1,
  pid,
  host: 'box',
  device: 'CPU',
  engine: 'test',
  generation: 1,
  timeMs,
  ...(state === 'lost' ? { reason: 'Worker lost: killed.' } : {}),
});
const evaluation = (epoch: number): TimedEvent => ({
  event: 'eval',
  split: 'test',
  epoch,
  step: 2,
  loss: 0.1,
  metrics: { accuracy: 0.9 },
  accuracy: 0.9,
  correct: 9,
  count: 10,
  timeMs: 5,
});

function viewOf(...events: TimedEvent[]): RunView {
  const view = new RunView();
  for (const event of events) view.note(event);
  return view;
}

describe('the view of a run', () => {
  it('keeps at most 24 histograms per tensor, evenly spaced, and always the last one', () => {
    const view = viewOf(runEvent());
    for (let step = 1; step <= 1000; step++) {
      const histogram = { min: 0, max: step, count: 1, sum: 0, sumOfSquares: 0, buckets: [1] };
      const recorded = [{ kind: 'weights', name: 'w', histogram } as const];
      view.note({ event: 'histograms', step, timeMs: step, histograms: recorded });
      const kept = view.histograms.of('weights/w')?.entries.map((entry) => entry.step) ?? [];
      expect(kept[0]).toBe(1);
      expect(kept.at(-1)).toBe(step);
      expect(kept.length).toBeLessThanOrEqual(24);
      const gaps = kept.slice(1, -1).map((at, k) => at - (kept[k] ?? 0));
      expect(new Set(gaps).size).toBeLessThanOrEqual(1);
    }
    expect(view.histograms.names).toEqual(['weights/w']);
    expect(view.since().state?.histogramStep).toBe(1000);
  });

  it('keeps all histograms up to the step to which the run goes back', () => {
    const view = viewOf(runEvent());
    const histogram = { min: 0, max: 1, count: 1, sum: 0, sumOfSquares: 0, buckets: [1] };
    const record = (step: number): void =>
      view.note({
        event: 'histograms',
        step,
        timeMs: step,
        histograms: [{ kind: 'weights', name: 'w', histogram }],
      });
    const kept = (): number[] => view.histograms.of('weights/w')?.entries.map((entry) => entry.step) ?? [];
    // From the 25th histogram on every second one is kept, and from the 48th on every fourth one.
    for (let step = 1; step <= 60; step++) record(step);
    const before = kept().filter((step) => step <= 30);
    view.note({ event: 'resumed', step: 30, path: '/runs/a', skipped: [], timeMs: 61 });
    expect(kept()).toEqual(before);
    record(31);
    expect(kept()).toEqual([...before, 31]);
  });

  it('holds its figures, evaluations, workers and events', () => {
    const view = viewOf(
      runEvent(),
      worker('joined', 11, 1),
      startEvent(),
      stepEvent(1),
      stepEvent(2),
      statusEvent(workerStatus(0, { forward: 10 }), workerStatus(1, { forward: 30 })),
      worker('lost', 11, 7),
      evaluation(1),
    );
    const { state, history, steps, parts } = view.since();
    expect(state).toMatchObject({ phase: 'running', step: { step: 2 }, start: { parameters: 7 } });
    expect(steps).toMatchObject({ x: [1, 2], columns: { loss: [2, 1], learningRate: [0.001, 0.001] } });
    expect(parts).toMatchObject({ x: [412], columns: { forward: [20], update: [0] } });
    expect(history?.lives).toEqual([{ rank: 1, pid: 11, host: 'box', fromMs: 1, toMs: 7, end: 'lost' }]);
    expect(history?.evaluations).toMatchObject([{ step: 2, accuracy: 0.9 }]);
    expect(history?.happenings.map(({ kind }) => kind)).toEqual(['joined', 'run', 'lost']);
  });

  it('is sent once', () => {
    const view = viewOf(runEvent(), startEvent(), stepEvent(1));
    const { cursor } = view.since();
    expect(view.since(cursor)).toMatchObject({ state: null, history: null, steps: null, parts: null });
    view.note(stepEvent(2));
    const later = view.since(cursor);
    expect(later.steps).toMatchObject({ from: 0, x: [1, 2] });
    expect(later).toMatchObject({ history: null, misclassified: null });
  });

  it('shows a field that was changed when the run was resumed', () => {
    const change = { field: 'optimizer.learningRate', before: 0.01, now: 0.005 };
    const view = viewOf({ event: 'changed', step: 4, ...change, timeMs: 3 });
    expect(view.since().history?.happenings.at(-1)?.text).toBe('From step 4: learning rate 0.01 -> 0.005');
  });

  it('ends the workers with their run, also one without a last event, and has no phase of an earlier process', () => {
    const error: TimedEvent = { event: 'error', code: 'INTERRUPTED', message: 'Interrupted.', timeMs: 9 };
    const stopped = viewOf(runEvent(), worker('joined', 11, 1), statusEvent(workerStatus(1, null)), error);
    expect(stopped.since().history?.lives).toMatchObject([{ pid: 11, toMs: 9, end: 'left' }]);
    expect(stopped.since().state).toMatchObject({ phase: 'failed', workers: [{ rank: 1 }] });
    stopped.note({ ...runEvent(), timeMs: 20 });
    stopped.note({ event: 'resumed', step: 0, path: '/c', skipped: [], timeMs: 21 });
    expect(stopped.since().state).toMatchObject({ phase: 'gathering', workers: [], end: null });

    const killed = viewOf(runEvent(), worker('joined', 11, 1), { ...stepEvent(1), timeMs: 5 });
    killed.note({ ...runEvent(), timeMs: 3_600_000 });
    killed.note(worker('joined', 12, 3_600_001));
    expect(killed.since().history?.lives).toMatchObject([
      { pid: 11, toMs: 5, end: 'left' },
      { pid: 12, toMs: null, end: null },
    ]);
  });

  it('removes the steps that a resumed run repeats', () => {
    const view = viewOf(runEvent(), startEvent(), stepEvent(1), stepEvent(2), evaluation(1), stepEvent(3));
    view.note({ event: 'resumed', step: 1, path: '/c', skipped: [], timeMs: 9 });
    view.note(stepEvent(2, { loss: 7 }));
    expect(view.since().steps).toMatchObject({ x: [1, 2], columns: { loss: [2, 7] } });
    expect(view.since().history?.evaluations).toEqual([]);
  });

  it('contains the misclassified examples of the last evaluation, from all workers', () => {
    const of = (epoch: number, rank: number, ...found: [number, number][]): TimedEvent => ({
      event: 'misclassified',
      split: 'test',
      epoch,
      step: epoch,
      rank,
      picture: null,
      timeMs: 1,
      samples: found.map(([index, confidence]) => ({
        index,
        confidence,
        label: 3,
        predicted: 5,
        pixels: null,
      })),
    });
    const view = viewOf(of(1, 0, [9, 0.9]), of(2, 0, [4, 0.5], [8, 0.7]), of(2, 1, [4, 0.5], [30, 0.6]));
    expect(view.since().misclassified?.samples.map(({ index }) => index)).toEqual([8, 30, 4]);
  });

  it('stays bounded in a long run', () => {
    const view = new RunView();
    view.note(runEvent());
    for (let step = 1; step <= 20_000; step++) view.note(stepEvent(step));
    for (let pid = 1; pid <= 2_000; pid++) {
      view.note(worker('joined', pid, pid));
      view.note(worker('lost', pid, pid + 1));
    }
    const size = JSON.stringify(view.since()).length;
    expect(size).toBeLessThan(400_000);
  });
});

describe('the runs of a folder', () => {
  it('are listed newest first with their results, in spite of torn lines and other folders', async () => {
    const folder = await temporaryFolder();
    const write = async (name: string, ...lines: (TimedEvent | string)[]): Promise<void> => {
      await mkdir(join(folder, name));
      const text = lines.map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`));
      await writeFile(join(folder, name, 'events.ndjson'), text.join(''));
    };
    const done: TimedEvent = {
      event: 'done',
      steps: 2,
      seconds: 3,
      imagesPerSecond: 40,
      weightsSha256: 'ab',
      timeMs: 8,
    };
    await write('first', { ...runEvent(), timeMs: 10 }, stepEvent(2), evaluation(1), done);
    await write('second', { ...runEvent(), timeMs: 20 }, stepEvent(7), '{"event":"ste');
    await write(
      'third',
      { ...runEvent(), timeMs: 30 },
      { event: 'error', code: 'DATA', message: 'gone', timeMs: 9 },
    );
    await mkdir(join(folder, 'no run'));
    expect(await listRuns(folder)).toMatchObject([
      { name: 'third', outcome: 'failed', error: 'gone' },
      { name: 'second', outcome: 'open', steps: 7, testAccuracy: null },
      { name: 'first', outcome: 'done', steps: 2, testAccuracy: 0.9, seconds: 3, weightsSha256: 'ab' },
    ]);
    expect(await newestRun(folder)).toMatch(/first|second|third/);
    expect(await listRuns(join(folder, 'none'))).toEqual([]);
  });
});
