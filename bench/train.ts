/**
 * Compares the throughput of Lockstep with PyTorch and TensorFlow on the same network, data, batch size, threads and number of steps,
 * alternating: `npm run bench -- [--rounds N] [--steps N] [--only GROUP] [--json FILE]`.
 *
 * Prints a table of medians and of Lockstep's ratio to each peer, and writes both as JSON. LOCKSTEP_PYTHON is the path of a Python
 * with PyTorch and TensorFlow; a peer that is not installed is skipped.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine, mnistFolder } from './measure.js';

const { values: given } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '80' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const [rounds, steps] = [Number(given.rounds), Number(given.steps)];
const warmUp = Math.min(20, Math.floor(steps / 3));

const python = process.env['LOCKSTEP_PYTHON'] ?? 'python3';
const data = mnistFolder();

interface Setup {
  /** Number of processes with `threads` threads each; a single Lockstep process runs without a launcher. */
  readonly processes: number;
  readonly threads: number;
  readonly batch: number;
  readonly precision: 'float32' | 'bfloat16';
}

type Peer = 'torch' | 'tensorflow';

interface Variant {
  readonly name: string;
  /** The program to compare with; undefined for Lockstep. */
  readonly peer: Peer | undefined;
  readonly run: () => number | Promise<number>;
}

const versions = new Set<string>();

function runPeer(peer: Peer, { processes, threads, batch, precision }: Setup, peerOptions: object): number {
  const options = { data, processes, threads, batch, steps, 'warm-up': warmUp, precision, ...peerOptions };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const program = fileURLToPath(new URL(`./peers/${peer}_train.py`, import.meta.url));
  const output = execFileSync(python, [program, ...args], {
    encoding: 'utf8',
    timeout: 600_000,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const { imagesPerSecond: rate, version } = JSON.parse(output) as {
    imagesPerSecond: number;
    version: string;
  };
  versions.add(version);
  return rate;
}

function group(name: string, setup: Setup): { name: string; variants: readonly Variant[] } {
  const { processes, threads, batch, precision } = setup;
  const processOptions = processes === 1 ? ['--single-process'] : ['--workers', processes];
  const options = [...processOptions, '--threads', threads, '--batch-size', batch, '--precision', precision];
  const [torch, tensorflow] =
    processes === 1 ? ['PyTorch', 'TensorFlow'] : ['PyTorch DDP', 'TensorFlow MultiWorkerMirrored'];
  return {
    name,
    variants: [
      { name: 'Lockstep', peer: undefined, run: () => imagesPerSecond({ options, steps, warmUp }) },
      ...['contiguous', 'channels_last'].map((layout) => ({
        name: `${torch}, ${layout}`,
        peer: 'torch' as const,
        run: () => runPeer('torch', setup, { layout }),
      })),
      ...(processes === 1 ? ['own'] : ['own', 'synchronized']).map((norm) => ({
        name: `${tensorflow}, BatchNorm ${norm}`,
        peer: 'tensorflow' as const,
        run: () => runPeer('tensorflow', setup, { 'batch-norm': norm }),
      })),
    ],
  };
}

const groups = [
  group('2x1, batch 64, float32', { processes: 2, threads: 1, batch: 64, precision: 'float32' }),
  group('2x1, batch 128, float32', { processes: 2, threads: 1, batch: 128, precision: 'float32' }),
  group('2x1, batch 128, bfloat16', { processes: 2, threads: 1, batch: 128, precision: 'bfloat16' }),
  group('1x2, batch 64, float32', { processes: 1, threads: 2, batch: 64, precision: 'float32' }),
].filter(({ name }) => given.only === undefined || name.includes(given.only));

function isInstalled(peer: Peer): boolean {
  try {
    execFileSync(python, ['-c', `import numpy, ${peer}`], { timeout: 120_000, stdio: 'ignore' });
    return true;
  } catch {
    console.log(
      `${peer} is skipped: ${python} has no ${peer} or no numpy. Set LOCKSTEP_PYTHON to another Python.\n`,
    );
    return false;
  }
}

const installed = { torch: isInstalled('torch'), tensorflow: isInstalled('tensorflow') };
const report = [];
for (const { name, variants } of groups) {
  const present = variants.filter(({ peer }) => peer === undefined || installed[peer]);
  const measured = present.map((variant) => ({ variant, rates: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { variant, rates } of measured) rates.push(await variant.run());
  }
  const medians = measured.map(({ variant, rates }) => ({
    name: variant.name,
    peer: variant.peer,
    rates,
    imagesPerSecond: median(rates),
  }));
  const lockstepRate = medians.find(({ peer }) => peer === undefined)?.imagesPerSecond ?? Number.NaN;
  report.push({
    name,
    variants: medians.map((result) => ({ ...result, lockstepRatio: lockstepRate / result.imagesPerSecond })),
  });
}

const heading = `${[machineLine(), ...versions].join(', ')}, ${rounds} rounds of ${steps} steps, alternating`;
console.log(`${heading}\n`);
console.log('| processes x threads | program | images per second | Lockstep / program |');
console.log('| --- | --- | --- | --- |');
for (const { name, variants } of report) {
  for (const { name: program, peer, imagesPerSecond: rate, lockstepRatio } of variants) {
    const ratio = peer === undefined ? '' : `${lockstepRatio.toFixed(2)}x`;
    console.log(`| ${name} | ${program} | ${rate.toFixed(0)} | ${ratio} |`);
  }
}
if (given.json !== undefined) {
  const date = new Date().toISOString();
  writeFileSync(given.json, `${JSON.stringify({ date, machine: heading, groups: report }, undefined, 2)}\n`);
}
