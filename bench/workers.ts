/**
 * Compares two workers with one, with one thread and one core each, by the compiled command, variants alternating:
 * `npm run bench:workers -- [rounds] [steps]`. The first third of the steps is warm-up.
 *
 * The single worker is pinned to a core (taskset); otherwise its communicator thread would run on the second core.
 */
import { median } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine } from './measure.js';

const [rounds = 3, steps = 240] = process.argv.slice(2).map(Number);

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

function measure({ workers, batchSize, options }: Variant): Promise<number> {
  const all = ['--workers', workers, '--batch-size', batchSize, ...options];
  return imagesPerSecond({ options: all, pinned: workers === 1, steps, warmUp: Math.floor(steps / 3) });
}

const measured = variants.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  for (const [i, variant] of variants.entries()) measured[i]?.push(await measure(variant));
}
console.log(`${machineLine()}, ${rounds} rounds`);
const base = median(measured[0] ?? []);
for (const [i, { name }] of variants.entries()) {
  const rate = median(measured[i] ?? []);
  console.log(`${name.padEnd(40)} ${rate.toFixed(0).padStart(6)} images/s  ${(rate / base).toFixed(2)}x`);
}
