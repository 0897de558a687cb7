/** What must be equal between two runs, from what `lockstep train --json` prints. */

import type { RunEvent } from '../src/shared/runs/run-events.js';

export interface Bits {
  /** What must be equal: every loss, every evaluation, the weights. */
  readonly bits: string;
  readonly weightsSha256: string;
  readonly steps: number;
  readonly loss: number;
}

export function bitsOf(stdout: string): Bits {
  const events = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RunEvent);
  const losses = events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));
  // Without the time at which it came.
  const evaluations = events.flatMap((event) => {
    if (event.event !== 'eval') return [];
    const { split, epoch, step, loss, metrics, count } = event;
    return [{ split, epoch, step, loss, metrics, count }];
  });
  const weightsSha256 = events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0];
  if (weightsSha256 === undefined) throw new Error('a run without the event "done"');
  // JSON writes a double with as many digits as tell it from every other.
  const bits = JSON.stringify([losses, evaluations, weightsSha256]);
  return { bits, weightsSha256, steps: losses.length, loss: losses.at(-1) ?? Number.NaN };
}
