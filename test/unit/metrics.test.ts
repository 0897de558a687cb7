import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { RunMetrics } from '../../src/dashboard/metrics.js';
import type { TimedEvent } from '../../src/shared/runs/run-events.js';
import { parseMetrics } from '../support/prometheus.js';
import { runEvent, startEvent, statusEvent, stepEvent, workerStatus } from '../support/run-events.js';

async function metricsOf(...events: TimedEvent[]) {
  const metrics = new RunMetrics();
  for (const event of events) metrics.note(event);
  return parseMetrics(await metrics.text());
}

const promtool = process.env['PROMTOOL'] ?? 'promtool';
const noPromtool = spawnSync(promtool, ['--version']).status !== 0;

describe("Prometheus' metrics", () => {
  it('count and measure the run', async () => {
    const at = { timeMs: 1 };
    const metrics = await metricsOf(
      runEvent(),
      startEvent(),
      stepEvent(1),
      stepEvent(2, { seconds: 0.2, samples: 32, loss: 0.5 }),
      { ...statusEvent(workerStatus(0, { forward: 30, update: 10 }), workerStatus(1, null)), refused: 3 },
      { ...statusEvent(workerStatus(0, { forward: 30, update: 10 }), workerStatus(1, null)), refused: 5 },
      { event: 'generation', generation: 2, step: 2, seconds: 0.7, reason: 'membership', workers: [], ...at },
      { event: 'generation', generation: 2, step: 2, seconds: 0.1, reason: 'balance', workers: [], ...at },
      {
        event: 'eval',
        split: 'test',
        epoch: 1,
        step: 2,
        loss: 0.1,
        metrics: { accuracy: 0.99 },
        accuracy: 0.99,
        correct: 99,
        count: 100,
        ...at,
      },
    );
    const value = (name: string): unknown => metrics.get(`lockstep_${name}`)?.metrics[0]?.value;
    expect(value('steps_total')).toBe('2');
    expect(value('images_total')).toBe('96');
    expect(value('loss')).toBe('0.5');
    expect(value('refused_frames_total')).toBe('5');
    expect(value('recoveries_total')).toBe('1');
    expect(value('generation')).toBe('2');
    expect(metrics.get('lockstep_step_seconds')).toMatchObject({
      type: 'HISTOGRAM',
      metrics: [{ count: '2', sum: '0.264', buckets: { '0.05': '0', '0.1': '1', '0.25': '2', '+Inf': '2' } }],
    });
    expect(metrics.get('lockstep_run_info')?.metrics[0]?.labels).toMatchObject({ name: 'digits' });
    expect(metrics.get('lockstep_worker_step')?.metrics.map(({ labels }) => labels?.['rank'])).toEqual([
      '0',
      '1',
    ]);
    expect(metrics.get('lockstep_worker_step_seconds')?.metrics).toMatchObject([{ value: '0.04' }]);
    expect(metrics.get('lockstep_evaluation_accuracy')?.metrics).toMatchObject([
      { value: '0.99', labels: { split: 'test' } },
    ]);
  });

  it('follow the conventions: a prefix, help, base units, and `_total` for counters only', async () => {
    for (const { name, help, type } of (await metricsOf(runEvent(), stepEvent(1))).values()) {
      expect(name).toMatch(/^lockstep_[a-z_]+$/);
      expect(help, name).not.toBe('');
      expect(name.endsWith('_total'), name).toBe(type === 'COUNTER');
      expect(name).not.toMatch(/_(ms|milliseconds|percent)(_|$)/);
    }
  });

  it('drop a lost worker, and continue to count after a takeover', async () => {
    const metrics = await metricsOf(
      { ...statusEvent(workerStatus(0, null), workerStatus(1, null)), refused: 4 },
      { ...statusEvent(workerStatus(0, null)), refused: 1 },
    );
    expect(metrics.get('lockstep_worker_step')?.metrics).toHaveLength(1);
    expect(metrics.get('lockstep_workers')?.metrics).toMatchObject([{ value: '1' }]);
    expect(metrics.get('lockstep_refused_frames_total')?.metrics).toMatchObject([{ value: '5' }]);
  });

  it.skipIf(noPromtool)(
    `pass Prometheus' own checks (${promtool}; skipped without it: apt-get install prometheus, or $PROMTOOL)`,
    async () => {
      const metrics = new RunMetrics();
      const status = statusEvent(workerStatus(0, { forward: 30 }), workerStatus(1, null));
      for (const event of [runEvent(), startEvent(), stepEvent(1), status]) metrics.note(event);
      const found = spawnSync(promtool, ['check', 'metrics'], {
        input: await metrics.text(),
        encoding: 'utf8',
      });
      expect(found.stderr + found.stdout).toBe('');
      expect(found.status).toBe(0);
    },
  );
});
