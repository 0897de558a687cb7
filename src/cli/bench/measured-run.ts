/** One `lockstep train` as a process of its own, and how fast it was: what `lockstep bench train` and the programs in bench/ measure with. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import type { RunEvent } from '../../shared/runs/run-events.js';
import { median } from '../../shared/arithmetic/quantile.js';
import type { StepTimes } from '../../shared/timeline/summary.js';

export interface RunToMeasure {
  /** The command line's compiled entry. */
  readonly main: string;
  /** As `lockstep train` takes them; threads are 1 unless they say otherwise. */
  readonly options: readonly (string | number)[];
  /** Pinned to one core (taskset), so that a lone worker's communicator thread doesn't have another one to itself. */
  readonly pinned?: boolean;
  readonly steps: number;
  /** First steps that don't count. */
  readonly warmUp: number;
  /** Records where the time goes. */
  readonly timeline?: boolean;
  /** Sees each event as it comes. */
  readonly onEvent?: (event: RunEvent) => void;
}

export interface MeasuredRun {
  /** Exit status; with another than 0 nothing was measured, and `error` says why. */
  readonly status: number | null;
  readonly error: string;
  /** Milliseconds of each step after the warm-up, as the coordinator saw them follow each other. */
  readonly stepMs: readonly number[];
  /** Of the median step. */
  readonly imagesPerSecond: number;
  /** Of all steps, with all that happens between steps. */
  readonly wholeRate: number;
  readonly timeline: readonly (StepTimes & { readonly rank: number })[];
}

const timeoutMs = 10 * 60_000;

export async function measureRun(run: RunToMeasure): Promise<MeasuredRun> {
  const folder = mkdtempSync(join(tmpdir(), 'lockstep-bench-'));
  const pin = run.pinned === true && process.platform === 'linux' ? ['taskset', '-c', '0'] : [];
  const fixed = ['--json', '--evaluate', 'none', '--out', join(folder, 'run'), '--threads', 1];
  const trace = run.timeline === true ? ['--trace', join(folder, 'trace.json')] : [];
  const length = ['--epochs', 1_000, '--max-steps', run.steps];
  const command = [
    ...pin,
    process.execPath,
    run.main,
    'train',
    ...fixed,
    ...trace,
    ...length,
    ...run.options,
  ];
  const [program = '', ...args] = command.map(String);
  try {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs });
    const ended = new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const stderr = text(child.stderr);
    const events: RunEvent[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      const event = JSON.parse(line) as RunEvent;
      events.push(event);
      run.onEvent?.(event);
    }
    return figures(run, await ended, events, await stderr);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function figures(
  run: RunToMeasure,
  status: number | null,
  events: readonly RunEvent[],
  stderr: string,
): MeasuredRun {
  const counted = events.flatMap((event) =>
    event.event === 'step' && event.step > run.warmUp ? [event] : [],
  );
  const failure = events.flatMap((event) => (event.event === 'error' ? [event.message] : []))[0];
  return {
    status,
    error: failure ?? stderr.trim(),
    stepMs: counted.map(({ seconds }) => seconds * 1_000),
    imagesPerSecond: median(counted.map(({ samples, seconds }) => samples / seconds)),
    wholeRate:
      events.flatMap((event) => (event.event === 'done' ? [event.imagesPerSecond] : []))[0] ?? Number.NaN,
    timeline: events.flatMap((event) => (event.event === 'timeline' ? event.workers : [])),
  };
}
