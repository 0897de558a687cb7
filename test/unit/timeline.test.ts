import { describe, expect, it } from 'vitest';
import { tracedSteps, type Span, type SpanKind } from '../../src/shared/timeline/spans.js';
import { TimelineSummary } from '../../src/shared/timeline/summary.js';
import { Tracer } from '../../src/worker/timing/tracer.js';

const span = (kind: SpanKind, startMs: number, ms: number, step = 1): Span => ({
  kind,
  name: kind,
  step,
  startUs: startMs * 1000,
  durationUs: ms * 1000,
});

describe('the summary of a timeline', () => {
  it('counts each millisecond once: a span excludes the spans nested in it', () => {
    const summary = new TimelineSummary();
    summary.add([
      span('data', 0, 1),
      span('waitBatchNorm', 3, 4),
      span('forward', 2, 10),
      span('loss', 12, 2),
      span('waitBatchNorm', 15, 1),
      span('waitBatchNorm', 18, 2),
      span('backward', 14, 8),
      span('collective', 3, 30),
      span('waitGradients', 22, 3),
      span('update', 26, 5),
      span('step', 0, 32),
    ]);
    expect(summary.times()).toEqual({
      step: 32,
      steps: 1,
      inFlight: 30,
      parts: {
        data: 1,
        forward: 6,
        loss: 2,
        backward: 5,
        waitBatchNorm: 7,
        waitGradients: 3,
        update: 5,
        other: 3,
      },
    });
  });

  it('takes medians over complete steps, except the first ones', () => {
    const summary = new TimelineSummary();
    expect(summary.times()).toBeUndefined();
    for (let step = 1; step <= 50; step++) {
      summary.add([span('forward', 0, step, step), span('step', 0, step <= 20 ? 1000 : step, step)]);
    }
    summary.add([span('forward', 0, 9999, 51)]);
    expect(summary.times()).toMatchObject({ steps: 30, step: 35.5, parts: { forward: 35.5, other: 0 } });
  });
});

describe('a tracer', () => {
  it('sends the spans of several steps in one message, and only those of the first steps', () => {
    const sent: Span[][] = [];
    const tracer = new Tracer((spans) => sent.push(spans));
    expect(tracer.measure('forward', 'outside', () => 7)).toBe(7);
    for (let step = 1; step <= tracedSteps + 10; step++) {
      tracer.step(step, () => tracer.measure('forward', 'conv', () => step));
    }
    tracer.flush();
    const spans = sent.flat();
    expect(spans.length).toBe(2 * tracedSteps);
    expect(sent.length).toBeLessThanOrEqual(tracedSteps / 8);
    expect(spans.slice(0, 2).map(({ kind, name, step }) => ({ kind, name, step }))).toEqual([
      { kind: 'forward', name: 'conv', step: 1 },
      { kind: 'step', name: 'step 1', step: 1 },
    ]);
    for (const { durationUs } of spans) expect(durationUs).toBeGreaterThanOrEqual(0);
  });

  it('records the span of work that throws', () => {
    const sent: Span[][] = [];
    const tracer = new Tracer((spans) => sent.push(spans));
    expect(() =>
      tracer.step(3, () => {
        throw new Error('lost');
      }),
    ).toThrow('lost');
    tracer.flush();
    expect(sent.flat().map(({ kind, step }) => [kind, step])).toEqual([['step', 3]]);
  });
});
