/** Extracts the results that must be bit-for-bit equal between two runs from the output of `lockstep train --json`. */

import type { RunEvent } from '../src/shared/runs/run-events.js';

export interface RunBits {
  /** All losses, all evaluations and the hash of the weights, as JSON. Equal runs have equal strings. */
  readonly bits: string;
  readonly weightsSha256: string;
  readonly steps: number;
  readonly loss: number;
}

/**
 * Reads the events of a run.
 * @throws Error if the run did not finish
 */
export function bitsOf(stdout: string): RunBits {
  const events = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as RunEvent);
  const losses = events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));
  // The time of an evaluation differs between runs.
  const evaluations = events.flatMap((event) => {
    if (event.event !== 'eval') return [];
    const { split, epoch, step, loss, metrics, count } = event;
    return [{ split, epoch, step, loss, metrics, count }];
  });
  const weightsSha256 = events.flatMap((event) => (event.event === 'done' ? [event.weightsSha256] : []))[0];
  if (weightsSha256 === undefined) throw new Error('run: expected the event "done", got none.');
  // JSON writes as many digits as are needed to restore a double exactly.
  const bits = JSON.stringify([losses, evaluations, weightsSha256]);
  return { bits, weightsSha256, steps: losses.length, loss: losses.at(-1) ?? Number.NaN };
}
