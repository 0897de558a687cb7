/**
 * The analytical model of a step on n workers (latency, message cost, bandwidth, compute), its parameters fitted to exchanges
 * measured here, its error there, and what it predicts for more workers: `npm run bench:model -- [rounds]`.
 *
 * Terms, after Thakur, Rabenseifner & Gropp 2005: an all-reduce costs latency a hop, CPU time a message sent or received, and
 * bytes over bandwidth. Workers of this machine share its cores, which multiplies the CPU time; those of a cluster don't.
 */
import { execFileSync } from 'node:child_process';
import os from 'node:os';
import { median } from '../src/shared/statistics.js';
import { machineLine } from './measure.js';

const [rounds = 3] = process.argv.slice(2).map(Number);

interface Network {
  /** Microseconds from a send to the receiver's thread. */
  readonly latency: number;
  /** Microseconds of CPU for a message sent or received. */
  readonly message: number;
  /** Bytes a microsecond a worker. */
  readonly bandwidth: number;
}

interface Training {
  /** Milliseconds of forward, backward and update. */
  readonly compute: number;
  /** Bytes of gradients; of a bucket. */
  readonly gradients: number;
  readonly bucket: number;
  /** BatchNorm's exchanges a step, which wait for each other, and their bytes. */
  readonly exchanges: number;
  readonly vector: number;
  /** Part of the compute that gradients can hide behind. */
  readonly overlap: number;
}

interface Collective {
  readonly name: string;
  /** Microseconds for one vector of `bytes`. */
  readonly small: (n: number, bytes: number, net: Network) => number;
  /** Microseconds for `bytes` in `buckets` pieces. */
  readonly large: (n: number, bytes: number, buckets: number, net: Network) => number;
}

/** Messages of a worker that must follow each other, out and in. */
const cost = (hops: number, messages: number, bytes: number, net: Network): number =>
  hops * net.latency + 2 * messages * net.message + bytes / net.bandwidth;

const collectives: readonly Collective[] = [
  {
    name: 'direct',
    small: (n, bytes, net) => cost(1, n - 1, (n - 1) * bytes, net),
    large: (n, bytes, buckets, net) => cost(2, 2 * (n - 1) * buckets, 2 * (1 - 1 / n) * bytes, net),
  },
  {
    name: 'recursive halving and doubling',
    small: (n, bytes, net) => cost(Math.log2(n), Math.log2(n), Math.log2(n) * bytes, net),
    large: (n, bytes, buckets, net) =>
      cost(2 * Math.log2(n), 2 * Math.log2(n) * buckets, 2 * (1 - 1 / n) * bytes, net),
  },
  {
    name: 'two levels, hosts of 8',
    small: (n, bytes, net) => {
      const [inner, hosts] = [Math.min(8, n), Math.ceil(n / 8)];
      return cost(hosts > 1 ? 3 : 1, 2 * (inner - 1) + (hosts - 1), (inner + hosts) * bytes, net);
    },
    large: (n, bytes, buckets, net) => {
      const [inner, hosts] = [Math.min(8, n), Math.ceil(n / 8)];
      const own = cost(2, 2 * (inner - 1) * buckets, 2 * (1 - 1 / inner) * bytes, net);
      // Each of a host's workers exchanges its own eighth with its like on the other hosts.
      const between = cost(2, 2 * (hosts - 1) * buckets, (2 * (1 - 1 / hosts) * bytes) / inner, net);
      return hosts > 1 ? own + between : own;
    },
  },
];

/** Milliseconds of a step. */
function step(n: number, { small, large }: Collective, net: Network, training: Training): number {
  if (n === 1) return training.compute;
  const { compute, gradients, bucket, exchanges, vector, overlap } = training;
  const waiting = (exchanges * small(n, vector, net)) / 1000;
  const exchange = large(n, gradients, Math.ceil(gradients / bucket), net) / 1000;
  return compute + waiting + Math.max(0, exchange - overlap * compute);
}

// ---- fit to exchanges between processes of this machine
const cores = os.cpus().length;
const sizes = [512, 7_800_000];
const bucket = 524_288;
const worlds = [2, 3, 4, 6, 8];
const measured = worlds.map((workers) => {
  const runs = Array.from({ length: rounds }, () => {
    const args = ['dist/cli/main.js', 'bench', 'allreduce', '--json', '--shared-memory', 'off'];
    const more = ['--workers', workers, '--bytes', sizes.join(','), '--rounds', 20].map(String);
    const answer = execFileSync(process.execPath, [...args, ...more], { encoding: 'utf8', timeout: 300_000 });
    return (JSON.parse(answer) as { results: { microseconds: number }[] }).results.map(
      (one) => one.microseconds,
    );
  });
  return { workers, times: sizes.map((_, i) => median(runs.map((run) => run[i] ?? Number.NaN))) };
});

/** All workers' work on the cores that there are. */
const shared = (n: number): number => Math.max(1, n / cores);
const local = (n: number, net: Network): Network => ({
  latency: net.latency,
  message: net.message * shared(n),
  bandwidth: net.bandwidth / shared(n),
});

/** Least squares of y = a + b x, relative to y, so that every size of world counts alike. */
function fit(points: readonly (readonly [number, number])[]): { intercept: number; slope: number } {
  let [w, wx, wy, wxx, wxy] = [0, 0, 0, 0, 0];
  for (const [x, y] of points) {
    const weight = 1 / y ** 2;
    [w, wx, wy] = [w + weight, wx + weight * x, wy + weight * y];
    [wxx, wxy] = [wxx + weight * x * x, wxy + weight * x * y];
  }
  const slope = (w * wxy - wx * wy) / (w * wxx - wx * wx);
  return { intercept: (wy - slope * wx) / w, slope };
}

const direct = collectives[0] as Collective;
const messages = fit(measured.map(({ workers: n, times }) => [2 * (n - 1) * shared(n), times[0] ?? 0]));
const cpu = Math.max(0, messages.slope);
const latency = Math.max(0, messages.intercept);
const buckets = Math.ceil((sizes[1] ?? 0) / bucket);
const rest = measured.map(({ workers: n, times: [, large = 0] }) => {
  const bytes = 2 * (1 - 1 / n) * (sizes[1] ?? 0) * shared(n);
  return bytes / Math.max(1, large - 2 * latency - 4 * (n - 1) * buckets * cpu * shared(n));
});
const net: Network = { latency, message: cpu, bandwidth: median(rest) };

console.log(`${machineLine()}, ${rounds} rounds\n`);
console.log(
  `Fitted: latency ${latency.toFixed(0)} us, ${cpu.toFixed(1)} us a message sent or received, ${(net.bandwidth / 1000).toFixed(2)} GB/s a worker.\n`,
);
console.log('| workers | 512 bytes: measured | model | 7.8 MB: measured | model |');
console.log('| --- | --- | --- | --- | --- |');
for (const { workers: n, times } of measured) {
  const here = local(n, net);
  const model = [direct.small(n, 512, here), direct.large(n, sizes[1] ?? 0, buckets, here)];
  const cells = times.flatMap((time, i) => [time, model[i] ?? 0]).map((us) => `${(us / 1000).toFixed(2)} ms`);
  console.log(`| ${n} | ${cells.join(' | ')} |`);
}

// ---- predict
const recipe = { gradients: 7_800_000, bucket, exchanges: 12, vector: 1_500, overlap: 0.5 };
const clusters: readonly { name: string; net: Network; training: Training }[] = [
  {
    name: 'CPU workers of a core each (110 ms a step), 10 Gb/s',
    net: { latency: 50, message: cpu, bandwidth: 1_250 },
    training: { ...recipe, compute: 110 },
  },
  {
    name: 'GPU workers (10 ms a step), 100 Gb/s',
    net: { latency: 25, message: cpu, bandwidth: 12_500 },
    training: { ...recipe, compute: 10 },
  },
];
for (const { name, net: cluster, training } of clusters) {
  console.log(`\n${name}: milliseconds a step (efficiency)\n`);
  console.log(`| workers | ${collectives.map((one) => one.name).join(' | ')} |`);
  console.log(`| --- |${' --- |'.repeat(collectives.length)}`);
  for (const n of [2, 8, 64, 512, 4096]) {
    const cells = collectives.map((collective) => {
      const ms = step(n, collective, cluster, training);
      return `${ms.toFixed(1)} (${((100 * training.compute) / ms).toFixed(0)} %)`;
    });
    console.log(`| ${n} | ${cells.join(' | ')} |`);
  }
}
