/** The stage `memory`: the memory of a worker and of the GPU during a run, and whether the worker's memory grows. */

import path from 'node:path';
import { StageFailure, type Row, type Stage } from '../stage.js';
import { gpuMegabytes, onGpu, residentMegabytes, train } from '../training.js';

/** Growth of a worker's memory in the second half of a run that is no sign of a leak, in megabytes. */
const permittedGrowth = 100;

export const memoryStage: Stage = {
  name: 'memory',
  title: 'Memory stays the same during a run',
  seconds: 20,
  needsAdapter: true,
  run: async ({ sizes, work }, signal) => {
    const steps = 3 * sizes.steps;
    const before = gpuMegabytes();
    let [half, last, peak, gpu] = [Number.NaN, Number.NaN, 0, 0];
    await train({
      check: sizes.network,
      options: {
        ...onGpu,
        workers: 1,
        shards: 1,
        evaluate: 'none',
        'batch-size': sizes.batch,
        'max-steps': steps,
        out: path.join(work, 'memory'),
      },
      signal,
      onEvent: (event, [worker]) => {
        if (event.event !== 'step' || worker === undefined) return;
        const memory = residentMegabytes(worker);
        if (memory === undefined) return;
        if (event.step === Math.ceil(steps / 2)) {
          half = memory.now;
          gpu = gpuMegabytes() ?? 0;
        }
        [last, peak] = [memory.now, memory.peak];
      },
    });
    const rows: Row[] = [
      ['worker, at most', `${peak.toFixed(0)} MB`],
      [`worker, growth from step ${Math.ceil(steps / 2)} to step ${steps}`, `${(last - half).toFixed(0)} MB`],
      [
        'GPU',
        before === undefined
          ? 'not known without nvidia-smi'
          : `${(gpu - before).toFixed(0)} MB more than before the run`,
      ],
    ];
    if (!(last - half < permittedGrowth))
      throw new StageFailure(`expected a growth below ${permittedGrowth} MB`, rows);
    return rows;
  },
};
