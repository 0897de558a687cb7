/** `lockstep bench train`: the training command on the recipe and real MNIST, how fast its steps are and where their time goes. */

import { fileURLToPath } from 'node:url';
import { median, quantile } from '../../shared/arithmetic/quantile.js';
import { wholeNumber } from '../bench/bench-options.js';
import { exitStatus } from '../exit.js';
import { measureRun, type MeasuredRun } from '../bench/measured-run.js';
import { timelineRows } from '../tables/timeline-table.js';
import { defaultDefinition } from '../options/train-options.js';

export interface BenchTrainFlags {
  readonly workers: string;
  readonly threads: string;
  readonly batchSize: string;
  readonly shards?: string;
  readonly precision: string;
  readonly engine: string;
  readonly config?: string;
  readonly steps: string;
  readonly rounds: string;
  readonly singleProcess?: boolean;
  readonly json?: boolean;
}

const main = fileURLToPath(new URL('../main.js', import.meta.url));

interface Spread {
  readonly median: number;
  readonly lowerQuartile: number;
  readonly upperQuartile: number;
}

const spread = (values: readonly number[]): Spread => ({
  median: median(values),
  lowerQuartile: quantile(values, 0.25),
  upperQuartile: quantile(values, 0.75),
});

/** Resolves with the exit status: of the training, where that fails. @throws ConfigError */
export async function benchTrain(flags: BenchTrainFlags): Promise<number> {
  const workers = wholeNumber('--workers', flags.workers, 1, 1_024);
  const threads = wholeNumber('--threads', flags.threads, 1, 1_024);
  const batchSize = wholeNumber('--batch-size', flags.batchSize, 1, 1_048_576);
  const steps = wholeNumber('--steps', flags.steps, 2, 100_000);
  const rounds = wholeNumber('--rounds', flags.rounds, 1, 1_000);
  const warmUp = Math.min(20, Math.floor(steps / 3));
  const options = [
    ...['--config', flags.config ?? defaultDefinition, '--engine', flags.engine],
    ...['--threads', threads, '--batch-size', batchSize, '--precision', flags.precision],
    ...(flags.singleProcess === true ? ['--single-process'] : ['--workers', workers]),
    ...(flags.shards === undefined ? [] : ['--shards', flags.shards]),
  ];
  const runs: MeasuredRun[] = [];
  for (let round = 0; round < rounds; round++) {
    const run = await measureRun({ main, options, steps, warmUp, timeline: true });
    if (run.status !== 0) {
      process.stderr.write(`${run.error}\n`);
      return run.status ?? exitStatus.failed;
    }
    runs.push(run);
  }
  const imagesPerSecond = spread(runs.map((run) => run.imagesPerSecond));
  const stepMs = spread(runs.flatMap((run) => run.stepMs));
  // One round's, not a mixture: that of the median rate, or the one below it.
  const [typical] = runs
    .filter((run) => run.imagesPerSecond <= imagesPerSecond.median)
    .sort((a, b) => b.imagesPerSecond - a.imagesPerSecond);
  const timeline = typical?.timeline ?? [];
  const setting = { workers: flags.singleProcess === true ? 1 : workers, threads, batchSize };
  if (flags.json === true) {
    const all = { ...setting, precision: flags.precision, steps, rounds, imagesPerSecond, stepMs, timeline };
    process.stdout.write(`${JSON.stringify(all)}\n`);
    return exitStatus.done;
  }
  const cells = (
    name: string,
    { median: middle, lowerQuartile, upperQuartile }: Spread,
    digits: number,
  ): string =>
    `  ${name.padEnd(24)}${[middle, lowerQuartile, upperQuartile].map((value) => value.toFixed(digits).padStart(9)).join('')}`;
  const lines = [
    `${setting.workers} workers, ${threads} threads each, batch ${batchSize}, ${flags.precision}; ${rounds} rounds of ${steps} steps, the first ${warmUp} left out`,
    `  ${''.padEnd(24)}${['median', 'quartiles', ''].map((word) => word.padStart(9)).join('')}`,
    cells('images a second, rounds', imagesPerSecond, 0),
    cells('milliseconds a step', stepMs, 1),
    ...timelineRows(timeline),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
  return exitStatus.done;
}
