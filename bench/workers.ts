/**
 * Two workers against one, one thread and one core each, through the real command and in turn:
 * `npm run bench:workers -- [rounds] [steps]`. Pins the one worker to a core (taskset), since otherwise its communicator
 * thread would have the other core to itself.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { RunEvent } from '../src/shared/run-events.js';

const [rounds = 3, steps = 100] = process.argv.slice(2).map(Number);
const warmUp = 20;

interface Variant {
  readonly name: string;
  readonly workers: number;
  readonly batchSize: number;
  readonly options: readonly string[];
}

const variants: readonly Variant[] = [
  { name: '1 worker, batch 64', workers: 1, batchSize: 64, options: [] },
  { name: '2 workers, batch 128 (64 each)', workers: 2, batchSize: 128, options: [] },
  { name: '2 workers, batch 64 (32 each)', workers: 2, batchSize: 64, options: [] },
  {
    name: '2 workers, batch 128, through sockets',
    workers: 2,
    batchSize: 128,
    options: ['--shared-memory', 'off'],
  },
];

/** Images per second between the warm-up and the last step, by the times at which the events came. */
function measure({ workers, batchSize, options }: Variant): number {
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
  const pinned = workers === 1 && process.platform === 'linux' ? ['taskset', '-c', '0'] : [];
  const [program = '', ...args] = [...pinned, ...command, ...numbers.map(String), ...options];
  try {
    const { stdout, stderr, status } = spawnSync(program, args, { encoding: 'utf8', timeout: 300_000 });
    if (status !== 0) throw new Error(stderr);
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

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

const measured = variants.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  for (const [i, variant] of variants.entries()) measured[i]?.push(measure(variant));
}
console.log(
  `${os.cpus()[0]?.model ?? ''}, ${os.cpus().length} cores, Node ${process.version}, ${rounds} rounds`,
);
const base = median(measured[0] ?? []);
for (const [i, { name }] of variants.entries()) {
  const rate = median(measured[i] ?? []);
  console.log(`${name.padEnd(40)} ${rate.toFixed(0).padStart(6)} images/s  ${(rate / base).toFixed(2)}x`);
}
