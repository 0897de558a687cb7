/** A training run reduced to all that must be equal when its bits are. */
import { expect } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { lockstep, temporaryFolder } from './lockstep.js';

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
