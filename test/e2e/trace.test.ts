import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { onWasm } from '../support/engines.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

interface TraceEvent {
  readonly ph: string;
  readonly pid: number;
  readonly tid?: number;
  readonly name: string;
  readonly cat?: string;
  readonly ts?: number;
  readonly dur?: number;
  readonly id?: string;
  readonly args: Readonly<Record<string, unknown>>;
}

describe('--trace FILE', () => {
  it('writes and summarizes a timeline of every worker, and changes no bit', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 70 });
    const common = ['train', '--config', config, '--shards', '2', '--epochs', '6', '--threads', '1'];
    const file = join(folder, 'time', 'line.json');
    const traced = await lockstep([
      ...common,
      '--workers',
      '2',
      // Without shared memory every collective uses messages and is in the timeline.
      '--shared-memory',
      'off',
      '--out',
      join(folder, 'a'),
      '--trace',
      file,
      '--json',
    ]);
    expect(traced.status, traced.stderr).toBe(0);
    const plain = await lockstep([...common, '--single-process', '--out', join(folder, 'b'), '--json']);

    const done = (events: typeof traced.events) => events.find(({ event }) => event === 'done');
    expect(done(traced.events)).toMatchObject({
      weightsSha256: (done(plain.events) as { weightsSha256: string }).weightsSha256,
    });

    const events = JSON.parse(await readFile(file, 'utf8')) as TraceEvent[];
    for (const rank of [0, 1]) {
      const own = events.filter(({ pid }) => pid === rank);
      const steps = own.filter(({ ph, cat }) => ph === 'X' && cat === 'step');
      expect(steps.map(({ args }) => args['step'])).toEqual(Array.from({ length: 12 }, (_, i) => i + 1));
      // Whatever the main thread did lies inside its step.
      for (const { ts = 0, dur = 0, cat, args } of own.filter(({ ph }) => ph === 'X')) {
        const step = steps.find((other) => other.args['step'] === args['step']);
        expect(ts, cat).toBeGreaterThanOrEqual((step?.ts ?? 0) - 0.2);
        expect(ts + dur, cat).toBeLessThanOrEqual((step?.ts ?? 0) + (step?.dur ?? 0) + 0.3);
      }
      const kinds = new Set(own.map(({ cat }) => cat));
      for (const kind of ['data', 'forward', 'loss', 'backward', 'waitBatchNorm', 'waitGradients', 'update'])
        expect(kinds).toContain(kind);
      // Each exchange that left has landed.
      const [begun, ended] = ['b', 'e'].map((ph) => own.filter((one) => one.ph === ph).map(({ id }) => id));
      expect(begun?.length).toBeGreaterThanOrEqual(12);
      expect(new Set(ended)).toEqual(new Set(begun));
      expect(new Set(begun).size).toBe(begun?.length);
    }

    const names = traced.events.map(({ event }) => event);
    expect(names.at(-1)).toBe('done');
    const timeline = traced.events.find((event) => event.event === 'timeline');
    expect(timeline?.workers.map(({ rank }) => rank)).toEqual([0, 1]);
    for (const { step, parts } of timeline?.workers ?? []) {
      expect(step).toBeGreaterThan(0);
      expect(parts.forward).toBeGreaterThan(0);
      expect(parts.forward).toBeLessThan(step);
    }
  });

  it.skipIf(onWasm)('prints the table for people, also from a single process', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 70 });
    const { status, stderr } = await lockstep([
      'train',
      '--config',
      config,
      '--single-process',
      '--max-steps',
      '3',
      '--evaluate',
      'none',
      '--out',
      join(folder, 'a'),
      '--trace',
      join(folder, 'trace.json'),
    ]);
    expect(status, stderr).toBe(0);
    expect(stderr).toMatch(/Milliseconds per step, medians of 3 steps:\n +rank 0\n/);
    for (const row of ['forward', 'backward', 'waiting for BatchNorm', 'update', 'step'])
      expect(stderr).toMatch(new RegExp(`^  ${row} +\\d+\\.\\d$`, 'm'));
  });

  it.skipIf(onWasm)('refuses a file that it cannot write, before anything starts', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 70 });
    const { status, stderr } = await lockstep([
      'train',
      '--config',
      config,
      '--workers',
      '1',
      '--out',
      join(folder, 'a'),
      '--trace',
      join(config, 'trace.json'),
    ]);
    expect(status).toBe(2);
    expect(stderr).toContain(`--trace: ${join(config, 'trace.json')} can't be written`);
  });
});
