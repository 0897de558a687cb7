/** One training run through the real command, and how fast it was. Shared by the benchmarks. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RunEvent } from '../src/shared/run-events.js';
import { median } from '../src/shared/statistics.js';

export interface Measured {
  /** As `lockstep train` takes them; threads are 1 unless they say otherwise. */
  readonly options: readonly (string | number)[];
  /** Pinned to one core (taskset), so that a lone worker's communicator thread doesn't have another one to itself. */
  readonly pinned?: boolean;
  readonly steps: number;
  readonly warmUp: number;
  /** The rate of all steps, with all that happens between steps, instead of the median step's. */
  readonly whole?: boolean;
}

/** Median over the steps after the warm-up of the rates that the run reported. */
export function imagesPerSecond({ options, pinned = false, steps, warmUp, whole = false }: Measured): number {
  const out = mkdtempSync(path.join(os.tmpdir(), 'lockstep-bench-'));
  const pin = pinned && process.platform === 'linux' ? ['taskset', '-c', '0'] : [];
  const fixed = ['--json', '--evaluate', 'none', '--out', out, '--threads', 1, '--max-steps', steps];
  const train = [...pin, process.execPath, 'dist/cli/main.js', 'train', ...fixed, ...options].map(String);
  const [program = '', ...args] = train;
  try {
    const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', timeout: 300_000 });
    if (status !== 0) throw new Error(stderr);
    if (whole) return wholeRate(stdout);
    const rates = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as RunEvent)
      .flatMap((event) => (event.event === 'step' && event.step > warmUp ? [event.imagesPerSecond] : []));
    return median(rates);
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

/** Of the `done` event. */
function wholeRate(stdout: string): number {
  const last = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as RunEvent;
  return last.event === 'done' ? last.imagesPerSecond : Number.NaN;
}

export function machineLine(): string {
  return `${os.cpus()[0]?.model ?? ''}, ${os.cpus().length} cores, Node ${process.version}`;
}
