/** Runs `lockstep train` of the bundle and follows its events and its memory. */

import { spawn, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunEvent } from '../../src/shared/runs/run-events.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const main = path.join(root, 'dist', 'cli', 'main.js');
const config = fileURLToPath(new URL('./recipe.config.ts', import.meta.url));

export interface TrainingOptions {
  /** Content of LOCKSTEP_CHECK; see recipe.config.ts. */
  readonly check: string;
  /** Options of `lockstep train` by name; true: an option without a value. */
  readonly options: Readonly<Record<string, string | number | true>>;
  /** Ends the run with all its processes. */
  readonly signal: AbortSignal;
  /** Called for each event; `workers` are the pids of the workers that have joined. */
  readonly onEvent?: (event: RunEvent, workers: readonly number[]) => void;
}

export interface Training {
  readonly events: readonly RunEvent[];
  readonly weightsSha256: string;
  readonly losses: readonly number[];
  readonly seconds: number;
}

/** Process groups of trainings that run, each led by its launcher. */
const groups = new Set<number>();

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL');
  } catch {
    // All of its processes have ended.
  }
}

process.once('exit', () => {
  for (const leader of groups) killGroup(leader);
});

/** Options of every training on the GPU. A stage's own limit ends a worker that compiles its shaders for too long. */
export const onGpu = { engine: 'webgpu', 'allow-software-gpu': true, 'join-timeout-ms': 3_600_000 } as const;

/** Runs a training to its end. @throws Error with the run's own message if it fails */
export async function train({ check, options, signal, onEvent }: TrainingOptions): Promise<Training> {
  const startedMs = performance.now();
  const args = Object.entries({ seed: 1, json: true, ...options }).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, String(value)],
  );
  signal.throwIfAborted();
  const child = spawn(process.execPath, [main, 'train', '--config', config, ...args], {
    env: { ...process.env, LOCKSTEP_CHECK: check },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const leader = child.pid;
  const stop = (): void => {
    if (leader !== undefined) killGroup(leader);
  };
  if (leader !== undefined) groups.add(leader);
  signal.addEventListener('abort', stop);
  const events: RunEvent[] = [];
  const workers: number[] = [];
  let [rest, stderr] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const event = JSON.parse(line) as RunEvent;
      events.push(event);
      if (event.event === 'worker' && event.state === 'joined') workers.push(event.pid);
      onEvent?.(event, workers);
    }
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  signal.removeEventListener('abort', stop);
  if (leader !== undefined) groups.delete(leader);
  signal.throwIfAborted();
  const done = events.find((event) => event.event === 'done');
  if (status !== 0 || done?.event !== 'done') {
    const message = events.flatMap((event) => (event.event === 'error' ? [event.message] : [])).at(-1);
    throw new Error(`lockstep train ${args.join(' ')}: ${message ?? stderr.trim().split('\n').at(-1) ?? ''}`);
  }
  const losses = events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));
  const seconds = (performance.now() - startedMs) / 1000;
  return { events, losses, weightsSha256: done.weightsSha256, seconds };
}

/** Returns the resident memory of a process in megabytes, now and at most; undefined if it has ended. */
export function residentMegabytes(pid: number): { now: number; peak: number } | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const field = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1000;
    return { now: field('VmRSS'), peak: field('VmHWM') };
  } catch {
    return undefined;
  }
}

/** Returns the memory of all GPUs together that is in use, in megabytes, as NVIDIA's driver reports it; undefined without the driver. */
export function gpuMegabytes(): number | undefined {
  const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
  try {
    const printed = execFileSync('nvidia-smi', query, {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return printed
      .trim()
      .split('\n')
      .map(Number)
      .reduce((sum, used) => sum + used, 0);
  } catch {
    return undefined;
  }
}
