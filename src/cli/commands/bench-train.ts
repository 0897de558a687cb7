/** `lockstep bench train`: measures the steps of the MNIST recipe and the parts of their time. */

import { fileURLToPath } from 'node:url';
import { median, quantile } from '../../shared/arithmetic/quantile.js';
import { wholeNumber } from '../options/number-options.js';
import { exitStatus } from '../../shared/exit-status.js';
import { measureRun, type MeasuredRun } from '../bench/measured-run.js';
import { timelineRows } from '../tables/timeline-table.js';
import { defaultDefinition } from '../options/definition-path.js';

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

interface Measurement {
  readonly workers: number;
  readonly threads: number;
  readonly batchSize: number;
  readonly precision: string;
  readonly steps: number;
  readonly rounds: number;
  readonly imagesPerSecond: Spread;
  readonly stepMs: Spread;
  /** Parts of the median step of each worker, in a typical round. */
  readonly timeline: MeasuredRun['timeline'];
}

/** Resolves with the exit status, which is the training's if that fails. @throws ConfigError */
export async function benchTrain(flags: BenchTrainFlags): Promise<number> {
  const { precision, singleProcess = false } = flags;
  const workers = wholeNumber('--workers', flags.workers, 1, 1_024);
  const threads = wholeNumber('--threads', flags.threads, 1, 1_024);
  const batchSize = wholeNumber('--batch-size', flags.batchSize, 1, 1_048_576);
  const steps = wholeNumber('--steps', flags.steps, 2, 100_000);
  const rounds = wholeNumber('--rounds', flags.rounds, 1, 1_000);
  const warmUp = warmUpOf(steps);
  const options = ['--config', flags.config ?? defaultDefinition, '--engine', flags.engine];
  options.push('--threads', String(threads), '--batch-size', String(batchSize), '--precision', precision);
  if (singleProcess) options.push('--single-process');
  else options.push('--workers', String(workers));
  if (flags.shards !== undefined) options.push('--shards', flags.shards);
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
  const measurement: Measurement = {
    workers: singleProcess ? 1 : workers,
    threads,
    batchSize,
    precision,
    steps,
    rounds,
    imagesPerSecond,
    stepMs: spread(runs.flatMap((run) => run.stepMs)),
    timeline: typicalRun(runs, imagesPerSecond.median)?.timeline ?? [],
  };
  const lines = flags.json === true ? [JSON.stringify(measurement)] : describe(measurement);
  process.stdout.write(`${lines.join('\n')}\n`);
  return exitStatus.done;
}

/** Number of steps at the beginning of a round that are not measured. */
const warmUpOf = (steps: number): number => Math.min(20, Math.floor(steps / 3));

/** Returns the run with the median rate, or else with the next lower one, because an average of runs has no timeline. */
function typicalRun(runs: readonly MeasuredRun[], medianRate: number): MeasuredRun | undefined {
  return runs
    .filter((run) => run.imagesPerSecond <= medianRate)
    .sort((a, b) => b.imagesPerSecond - a.imagesPerSecond)[0];
}

function describe(measurement: Measurement): string[] {
  const { workers, threads, batchSize, precision, steps, rounds, imagesPerSecond, stepMs } = measurement;
  const row = (
    name: string,
    { median: middle, lowerQuartile, upperQuartile }: Spread,
    digits: number,
  ): string =>
    tableRow(
      name,
      [middle, lowerQuartile, upperQuartile].map((value) => value.toFixed(digits)),
    );
  const count = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`;
  return [
    `${count(workers, 'worker')}, ${count(threads, 'thread')} each, batch ${batchSize}, ${precision}; ` +
      `${count(rounds, 'round')} of ${steps} steps, without the first ${warmUpOf(steps)}`,
    tableRow('', ['median', 'quartiles', '']),
    row('images per second', imagesPerSecond, 0),
    row('milliseconds per step', stepMs, 1),
    ...timelineRows(measurement.timeline),
  ];
}

const tableRow = (name: string, cells: readonly string[]): string =>
  `  ${name.padEnd(24)}${cells.map((cell) => cell.padStart(10)).join('')}`;
