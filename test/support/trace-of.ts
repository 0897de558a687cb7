/** A training run reduced to all that must be equal when its bits are. */
import { expect } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { lockstep, temporaryFolder } from './lockstep.js';
import { wasmRun, writeSmallTraining } from './small-training.js';

export interface Trace {
  readonly losses: readonly number[];
  readonly evaluations: readonly unknown[];
  readonly weightsSha256: string;
}

/** Trains with these options on one thread. */
export async function traceOf(args: readonly string[]): Promise<Trace> {
  const out = await temporaryFolder();
  const { status, events, stderr } = await lockstep([
    'train',
    ...args,
    '--threads',
    '1',
    '--out',
    out,
    '--json',
  ]);
  expect(status, stderr).toBe(0);
  const of = <Name extends RunEvent['event']>(name: Name) =>
    events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);
  return {
    losses: of('step').map(({ loss }) => loss),
    evaluations: of('eval').map(({ split, loss, correct, count }) => ({ split, loss, correct, count })),
    weightsSha256: of('done')[0]?.weightsSha256 ?? 'none',
  };
}

/** Trains the small training with one worker and then at each of `places`, and expects the same losses, evaluations and weights. */
export async function expectSameBits(
  engine: 'tensorflow' | 'wasm',
  places: readonly (readonly string[])[],
): Promise<void> {
  const folder = await temporaryFolder();
  // 70 = 64 + 6: the last batch gives one sample to some of the 8 shards, and none to others.
  const { config } = await writeSmallTraining(folder, { count: 70 });
  const common = ['--config', config, '--shards', '8', '--epochs', '50', '--engine', engine];
  const one = await traceOf([...common, '--workers', '1']);
  expect(one.losses).toHaveLength(100);
  expect(new Set(one.losses).size).toBeGreaterThan(90);
  if (engine === 'wasm') expect(one.weightsSha256).toBe(wasmRun.weightsSha256);
  for (const place of places) expect(await traceOf([...common, ...place]), place.join(' ')).toEqual(one);
}
