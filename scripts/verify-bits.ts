/**
 * The promise on the recipe itself, at full length: `npm run verify:bits -- [--steps N] [--repeat N]`. One and the same config at
 * several world sizes and in a single process, then several times with the machine loaded by other work; every loss and
 * the final hash must be equal. Exit status 1 when they are not.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import type { RunEvent } from '../src/shared/run-events.js';

const { values } = parseArgs({
  options: { steps: { type: 'string', default: '120' }, repeat: { type: 'string', default: '10' } },
});
const common = ['--shards', '8', '--batch-size', '60', '--seed', '7', '--threads', '1', '--evaluate', 'none'];
const timeoutMs = 10 * 60_000;

interface Result {
  readonly weights: string;
  /** Of every step's loss as printed, all digits. */
  readonly losses: string;
  readonly rate: number;
}

async function train(args: readonly string[]): Promise<Result> {
  const out = await mkdtemp(path.join(os.tmpdir(), 'lockstep-bits-'));
  try {
    const child = spawn(
      process.execPath,
      ['dist/cli/main.js', 'train', ...common, ...args, '--json', '--out', out],
      { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeoutMs },
    );
    const collect = async (stream: NodeJS.ReadableStream): Promise<string> => {
      let text = '';
      for await (const chunk of stream) text += String(chunk);
      return text;
    };
    const [stdout, stderr] = await Promise.all([collect(child.stdout), collect(child.stderr)]);
    const events = stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as RunEvent);
    const done = events.find((event) => event.event === 'done');
    if (!done) throw new Error(stderr);
    const losses = events.flatMap((event) => (event.event === 'step' ? [event.loss] : []));
    const digest = createHash('sha256').update(losses.join()).digest('hex');
    return { weights: done.weightsSha256, losses: `${losses.length} ${digest}`, rate: done.imagesPerSecond };
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** Keeps every core busy until it is terminated. */
function load(): () => Promise<unknown> {
  const busy = os.cpus().map(() => new Worker('for (;;) Math.sqrt(Math.random());', { eval: true }));
  return () => Promise.all(busy.map((worker) => worker.terminate()));
}

let reference: Result | undefined;
let failed = 0;
async function check(name: string, args: readonly string[]): Promise<void> {
  const result = await train(args);
  reference ??= result;
  const same = result.weights === reference.weights && result.losses === reference.losses;
  if (!same) failed++;
  const rate = `${result.rate.toFixed(0)} images/s`;
  console.log(
    `${name.padEnd(28)} ${result.weights.slice(0, 16)}  ${rate.padStart(13)}  ${same ? 'same' : 'DIFFERENT'}`,
  );
}

const steps = ['--max-steps', values.steps];
for (const workers of [1, 2, 3, 4, 5, 7, 8]) {
  await check(`${workers} workers`, [...steps, '--workers', String(workers)]);
}
await check('single process', [...steps, '--single-process']);
const unload = load();
try {
  for (let i = 1; i <= Number(values.repeat); i++) {
    await check(`2 workers, loaded, run ${i}`, [...steps, '--workers', '2']);
  }
} finally {
  await unload();
}
console.log(failed === 0 ? 'All the same bits.' : `${failed} runs differ.`);
process.exitCode = failed === 0 ? 0 : 1;
