/**
 * Fits the analytical step model (step-model.ts) to all-reduces measured on this machine, compares it with these and with steps of 1 and
 * 2 workers, and prints its predictions for 8 to 4096 workers: `npm run bench:model -- [rounds] [steps]`.
 *
 * Workers on this machine share its cores, which multiplies their CPU time. Workers in a cluster are assumed to have cores of their own.
 */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { median } from '../src/shared/arithmetic/quantile.js';
import { totalUs, type Cluster, type Network } from '../src/shared/collectives/cost.js';
import { machineLine, main } from './measure.js';
import { measureRun } from '../src/cli/bench/measured-run.js';
import { printScaling } from './scaling-table.js';
import { fit, gradientCost, predict, recipe, vectorCost, type Training } from './step-model.js';

const [rounds = 3, steps = 60] = process.argv.slice(2).map(Number);

// Measured all-reduces between processes of this machine.
const cores = os.cpus().length;
const small = 512;
const sizes = [small, recipe.gradientBytes];
const worlds = [2, 3, 4, 6, 8];

function allreduce(
  workers: number,
  sharedMemory: 'auto' | 'off',
  bucketBytes: number = recipe.bucketBytes,
): number[] {
  const runs = Array.from({ length: rounds }, () => {
    const args = [main, 'bench', 'allreduce', '--json', '--shared-memory', sharedMemory, '--rounds', '20'];
    const more = ['--workers', workers, '--bytes', sizes.join(','), '--bucket-bytes', bucketBytes].map(
      String,
    );
    const output = execFileSync(process.execPath, [...args, ...more], { encoding: 'utf8', timeout: 300_000 });
    return (JSON.parse(output) as { results: { microseconds: number }[] }).results.map(
      ({ microseconds }) => microseconds,
    );
  });
  return sizes.map((_, i) => median(runs.map((run) => run[i] ?? Number.NaN)));
}

// Fit with one worker per core. Smaller buckets mean more messages, so the slope is the cost of a message.
const base = Math.max(2, Math.min(cores, 8));
const bucketRuns = [65_536, 131_072, 262_144, 524_288, 1_048_576].map((bucketBytes) => ({
  messages: 4 * (base - 1) * Math.ceil(recipe.gradientBytes / bucketBytes),
  times: allreduce(base, 'off', bucketBytes),
}));
const line = fit(bucketRuns.map(({ messages, times }) => [messages, times[1] ?? 0]));
const messageUs = Math.max(0, line.slope);
const smallUs = median(bucketRuns.map(({ times }) => times[0] ?? 0));
const latencyUs = Math.max(0, smallUs - 2 * (base - 1) * messageUs);
const bytesPerUs = (2 * (1 - 1 / base) * recipe.gradientBytes) / Math.max(1, line.intercept - 2 * latencyUs);

/** Factor by which n workers on this machine's cores slow down all CPU work. */
const slowdown = (n: number): number => Math.max(1, n / cores);
const localNetwork = (n: number): Network => ({
  latencyUs: latencyUs * slowdown(n),
  messageUs: messageUs * slowdown(n),
  linkBytesPerUs: bytesPerUs / slowdown(n),
  localBytesPerUs: bytesPerUs / slowdown(n),
});
const measured = worlds.map((workers) => ({ workers, times: allreduce(workers, 'off') }));
const oneHost = (local: number): Cluster => ({ hosts: 1, local });

console.log(`${machineLine()}, ${rounds} rounds\n`);
console.log(
  `Fitted with ${base} workers: latency ${latencyUs.toFixed(0)} us, ${messageUs.toFixed(1)} us per message sent or received, ${(bytesPerUs / 1000).toFixed(2)} GB/s per worker.\n`,
);
console.log('| workers | 512 bytes: measured | model | 7.8 MB: measured | model |');
console.log('| --- | --- | --- | --- | --- |');
for (const { workers: n, times } of measured) {
  const net = localNetwork(n);
  const model = [
    totalUs(vectorCost(oneHost(n), small, net).cost),
    totalUs(gradientCost(oneHost(n), recipe, 'float32', net).cost),
  ];
  const cells = times.flatMap((time, i) => [time, model[i] ?? 0]).map((us) => `${(us / 1000).toFixed(2)} ms`);
  console.log(`| ${n} | ${cells.join(' | ')} |`);
}

// Steps of 1 and 2 workers. The single worker is pinned to a core, so that it has as much CPU as each of two.
async function stepMs(workers: number, local: number, sharedMemory: string): Promise<number> {
  const options = ['--workers', workers, '--batch-size', workers * local, '--shared-memory', sharedMemory];
  const runs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const run = await measureRun({ main, options, pinned: workers === 1, steps, warmUp: 15 });
    if (run.status !== 0) throw new Error(run.error);
    runs.push(median(run.stepMs));
  }
  return median(runs);
}

const [sharedSmall = 0, sharedLarge = 0] = allreduce(2, 'auto');
console.log(
  `\nThrough shared memory: ${sharedSmall.toFixed(0)} us per small all-reduce, ${(sharedLarge / 1000).toFixed(1)} ms for all gradients.`,
);
console.log(
  '\n| images per worker | 1 worker | 2, sockets: measured | model | 2, shared memory: measured | model |',
);
console.log('| --- | --- | --- | --- | --- | --- |');
let computeMs = 0;
for (const local of [32, 64]) {
  computeMs = await stepMs(1, local, 'auto');
  // Both cores compute, so communication does not overlap: on loopback, even copying bytes takes CPU time.
  const training: Training = { ...recipe, computeMs, overlap: 0, ownCore: false };
  const sockets = predict(oneHost(2), training, 'float32', localNetwork(2)).stepMs;
  const memory = computeMs + (recipe.vectors.length * sharedSmall + sharedLarge) / 1000;
  const cells = [computeMs, await stepMs(2, local, 'off'), sockets, await stepMs(2, local, 'auto'), memory];
  console.log(`| ${local} | ${cells.map((ms) => `${ms.toFixed(1)} ms`).join(' | ')} |`);
}

printScaling({ messageUs, computeMs, sharedVectorUs: sharedSmall });
