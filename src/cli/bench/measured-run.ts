/** Runs `lockstep train` as a process and measures its speed, for `lockstep bench train` and the programs in bench/. */

import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { makeTemporaryFolder } from '../../shared/files/temporary-folder.js';
import type { RunEvent } from '../../shared/runs/run-events.js';
import { median } from '../../shared/arithmetic/quantile.js';
import type { StepTimes } from '../../shared/timeline/summary.js';

export interface RunToMeasure {
  /** Path of the compiled command line. */
  readonly main: string;
  /** Options of `lockstep train`; the number of threads is 1 by default. */
  readonly options: readonly (string | number)[];
  /** True to pin the process to one core (taskset), so that the communicator thread of a single worker has no core of its own. */
  readonly pinned?: boolean;
  readonly steps: number;
  /** Number of first steps that are not measured. */
  readonly warmUp: number;
  /** True to record the parts of the steps' time. */
  readonly timeline?: boolean;
  /** Called for each event as it arrives. */
  readonly onEvent?: (event: RunEvent) => void;
}

export interface MeasuredRun {
  /** Exit status. Unless it is 0, nothing was measured and `error` contains the reason. */
  readonly status: number | null;
  readonly error: string;
  /** Duration of each step after the warm-up, in ms, from the intervals between the coordinator's events. */
  readonly stepMs: readonly number[];
  /** Rate of the median step. */
  readonly imagesPerSecond: number;
  /** Rate of all steps, including the time between steps. */
  readonly wholeRate: number;
  readonly timeline: readonly (StepTimes & { readonly rank: number })[];
}

const timeoutMs = 10 * 60_000;

export async function measureRun(run: RunToMeasure): Promise<MeasuredRun> {
  const folder = makeTemporaryFolder('lockstep-bench-');
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
