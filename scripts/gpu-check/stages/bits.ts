/** The stage `bits`: three runs of one worker and a run of two workers have the same losses and weights. */

import path from 'node:path';
import { StageFailure, type GpuCheck, type Row, type Stage } from '../stage.js';
import { onGpu, train, type Training, type TrainingOptions } from '../training.js';

export const bitsStage: Stage = {
  name: 'bits',
  title: 'Three runs, and one and two workers, have the same bits',
  seconds: 60,
  needsAdapter: true,
  run: async (check, signal) => {
    const variants = [
      ['single process', { 'single-process': true }],
      ['1 worker', { workers: 1 }],
      ['1 worker, again', { workers: 1 }],
      ['2 workers', { workers: 2 }],
    ] as const;
    const rows: Row[] = [];
    const hashes = new Set<string>();
    for (const [name, processes] of variants) {
      const training = await comparableRun(check, name, processes, { signal });
      check.undisturbed ??= training;
      hashes.add(bitsOf(training));
      rows.push([name, describe(training)]);
    }
    if (hashes.size > 1)
      throw new StageFailure('expected equal losses and weights, got different ones', rows);
    return rows;
  },
};

/** Runs the training that all comparisons of bits use. */
export function comparableRun(
  { sizes, work }: GpuCheck,
  name: string,
  processes: TrainingOptions['options'],
  more: Pick<TrainingOptions, 'signal' | 'onEvent'>,
): Promise<Training> {
  const { network, batch, steps } = sizes;
  return train({
    check: network,
    options: {
      ...onGpu,
      ...processes,
      shards: 2,
      evaluate: 'none',
      'batch-size': batch,
      'max-steps': steps,
      out: path.join(work, `bits-${name.replaceAll(/\W+/g, '-')}`),
    },
    ...more,
  });
}

/** All losses and the weights. JSON has as many digits as a double needs. */
export const bitsOf = ({ losses, weightsSha256 }: Training): string =>
  JSON.stringify([losses, weightsSha256]);

export const describe = ({ losses, weightsSha256, seconds }: Training): string =>
  `${losses.length} steps, last loss ${String(losses.at(-1))}, weights ${weightsSha256.slice(0, 16)}, ${seconds.toFixed(1)} s`;
