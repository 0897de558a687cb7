/**
 * Measures the cost of more shards than workers: images per second with K = W, 2W, 4W and 8W shards on W workers with one thread
 * each, variants alternating: `npm run bench:shards -- [rounds] [steps]`.
 *
 * A single worker communicates with no other, so its loss comes from more and smaller kernels. The additional loss of two workers comes
 * from the subtree sums that they exchange.
 */
import { median } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine } from './measure.js';

const [rounds = 3, steps = 80] = process.argv.slice(2).map(Number);

interface Variant {
  readonly workers: number;
  readonly shards: number;
  readonly batchSize: number;
}

const factors = [1, 2, 4, 8];
const variants = [
  { workers: 1, batchSize: 64 },
  { workers: 2, batchSize: 128 },
].flatMap(({ workers, batchSize }): Variant[] =>
  factors.map((factor) => ({ workers, shards: factor * workers, batchSize })),
);

const measured = variants.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  for (const [i, { workers, shards, batchSize }] of variants.entries()) {
    const options = ['--workers', workers, '--shards', shards, '--batch-size', batchSize];
    measured[i]?.push(await imagesPerSecond({ options, pinned: workers === 1, steps, warmUp: 15 }));
  }
}

console.log(`${machineLine()}, ${rounds} rounds of ${steps} steps`);
let base = Number.NaN;
for (const [i, { workers, shards, batchSize }] of variants.entries()) {
  const rate = median(measured[i] ?? []);
  if (shards === workers) base = rate;
  const name = `${workers} workers, batch ${batchSize}, K = ${shards}`;
  console.log(`${name.padEnd(32)} ${rate.toFixed(0).padStart(6)} images/s  ${(rate / base).toFixed(2)}x`);
}
