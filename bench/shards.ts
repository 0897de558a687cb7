/**
 * What exactness costs: images a second with K = W, 2W, 4W and 8W shards on W workers, one thread each, in turn:
 * `npm run bench:shards -- [rounds] [steps]`. One worker exchanges nothing, so what it loses is lost to smaller kernels and
 * more of them; what two workers lose beyond that, to the subtrees that they send each other.
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
