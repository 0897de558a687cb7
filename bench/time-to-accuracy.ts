/**
 * Measures the time to a test accuracy for Lockstep with 2 workers and PyTorch DDP with 2 processes, with one thread each:
 * `npm run bench:time-to-accuracy -- [--seeds 1,2,3] [--target 0.99] [--every 200] [--layout channels_last]`.
 *
 * Both train the MNIST ConvNet (batch 64, Adam, StepLR, a new random order in each epoch) and evaluate the whole test set on both
 * processes after the same steps. The time runs from the start of the process to the output line that reports the accuracy. Random
 * generators differ, so the same seed does not give the same run, and medians over the seeds are compared. LOCKSTEP_PYTHON is the path of
 * a Python with PyTorch.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../src/shared/arithmetic/quantile.js';
import { machineLine, main, mnistFolder } from './measure.js';

const { values: given } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1,2,3' },
    target: { type: 'string', default: '0.99' },
    every: { type: 'string', default: '200' },
    layout: { type: 'string', default: 'channels_last' },
  },
});
const [target, every, epochs] = [Number(given.target), Number(given.every), 3];
const data = mnistFolder();

/** An evaluation as printed by either program. */
interface Evaluation {
  readonly step: number;
  readonly accuracy: number;
}

interface Reached extends Evaluation {
  readonly seconds: number;
}

/** Starts a program, reads its output until an evaluation reaches the target, and terminates it. */
async function runUntilTarget(
  program: string,
  args: readonly (string | number)[],
  read: (line: string) => Evaluation | undefined,
): Promise<Reached> {
  const startedMs = performance.now();
  const child = spawn(program, args.map(String), { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let reached: Reached | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    const evaluation = read(line);
    if (reached || !evaluation || evaluation.accuracy < target) continue;
    reached = { ...evaluation, seconds: (performance.now() - startedMs) / 1000 };
    terminate(child);
  }
  await ended;
  if (!reached)
    throw new Error(`${program} ${args[0] ?? ''} ended before the target accuracy of ${target} was reached.`);
  return reached;
}

/** Sends SIGTERM, on which both programs also terminate their child processes. */
const terminate = (child: ChildProcess): void => void child.kill('SIGTERM');

async function lockstep(seed: number): Promise<Reached> {
  const out = mkdtempSync(path.join(os.tmpdir(), 'lockstep-bench-'));
  const recipe = ['--workers', 2, '--threads', 1, '--epochs', epochs, '--seed', seed];
  const evaluations = ['--evaluate', 'test', '--evaluate-every', `${every}steps`];
  try {
    return await runUntilTarget(
      process.execPath,
      [main, 'train', '--json', '--out', out, ...recipe, ...evaluations],
      (line) => {
        const event = JSON.parse(line) as { event: string } & Evaluation;
        return event.event === 'eval' ? event : undefined;
      },
    );
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function torch(seed: number): Promise<Reached> {
  const peer = fileURLToPath(new URL('./peers/torch_accuracy.py', import.meta.url));
  const options = {
    data,
    processes: 2,
    threads: 1,
    batch: 64,
    epochs,
    seed,
    every,
    target,
    layout: given.layout,
  };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
  return runUntilTarget(
    process.env['LOCKSTEP_PYTHON'] ?? 'python3',
    [peer, ...args],
    (line) => JSON.parse(line) as Evaluation,
  );
}

const programs = [
  { name: 'Lockstep', run: lockstep, times: [] as number[] },
  { name: `PyTorch DDP, ${given.layout}`, run: torch, times: [] as number[] },
];
console.log(
  `${machineLine()}, 2 processes x 1 thread, batch 64, evaluation every ${every} steps, target ${100 * target} %\n`,
);
console.log('| seed | program | seconds | steps | test accuracy |\n| --- | --- | --- | --- | --- |');
for (const seed of given.seeds.split(',').map(Number)) {
  for (const { name, run, times } of programs) {
    const { seconds, step, accuracy } = await run(seed);
    times.push(seconds);
    console.log(`| ${seed} | ${name} | ${seconds.toFixed(1)} | ${step} | ${(100 * accuracy).toFixed(2)} % |`);
  }
}
for (const { name, times } of programs) console.log(`\n${name}: median ${median(times).toFixed(1)} s`);
