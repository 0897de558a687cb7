/** Times runs of the real command, variants in turn (A B A B), and prints medians and ratios. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RunEvent } from '../src/shared/run-events.js';

export interface Variant {
  readonly name: string;
  readonly workers: number;
  readonly batchSize: number;
  readonly options?: readonly string[];
}

const warmUpSteps = 20;

/** Images a second after the first steps, one thread a worker. A single worker is pinned to a core. */
function measure({ workers, batchSize, options = [] }: Variant, steps: number): number {
  const out = mkdtempSync(path.join(os.tmpdir(), 'lockstep-bench-'));
  const command = [
    process.execPath,
    'dist/cli/main.js',
    'train',
    '--json',
    '--evaluate',
    'none',
    '--out',
    out,
  ];
  const numbers = ['--workers', workers, '--batch-size', batchSize, '--threads', 1, '--max-steps', steps];
  // Else its communicator thread would have the other core to itself.
  const pinned = workers === 1 && process.platform === 'linux' ? ['taskset', '-c', '0'] : [];
  const [program = '', ...args] = [...pinned, ...command, ...numbers.map(String), ...options];
  try {
    const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', timeout: 300_000 });
    if (status !== 0) throw new Error(stderr);
    const rates = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as RunEvent)
      .flatMap((event) =>
        event.event === 'step' && event.step > warmUpSteps ? [event.imagesPerSecond] : [],
      );
    return median(rates);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const [low, high] = [sorted[Math.floor((sorted.length - 1) / 2)], sorted[Math.floor(sorted.length / 2)]];
  return ((low ?? Number.NaN) + (high ?? Number.NaN)) / 2;
}

/** Prints each variant's median rate, and the median of its ratios to the first variant of the same round. */
export function compareRuns(variants: readonly Variant[], rounds: number, steps: number): void {
  const measured = variants.map((): number[] => []);
  for (let round = 0; round < rounds; round++) {
    for (const [i, variant] of variants.entries()) measured[i]?.push(measure(variant, steps));
  }
  console.log(
    `${os.cpus()[0]?.model ?? ''}, ${os.cpus().length} cores, Node ${process.version}, ${rounds} rounds`,
  );
  console.log('| | images a second | against the first |\n| --- | --- | --- |');
  for (const [i, { name }] of variants.entries()) {
    const rates = measured[i] ?? [];
    const ratios = rates.map((rate, round) => rate / (measured[0]?.[round] ?? Number.NaN));
    console.log(`| ${name} | ${median(rates).toFixed(0)} | ${median(ratios).toFixed(3)} |`);
  }
}
