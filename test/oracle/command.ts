/**
 * `npm run oracle -- [--engine tensorflow|wasm] [--seed N] [--free-seeds N] [--free-only] [--plot FILE.svg] [--write-fixtures]`: compares Lockstep with
 * PyTorch on fresh random seeds and prints what was measured beside each bar; draws the free-running distances. Exit status 1 when a bar is missed, 2 without PyTorch.
 */

import { randomInt } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { engineFor } from '../support/in-process.js';
import { compare } from './compare.js';
import { plotDistances } from './plot.js';
import { LockstepSide } from './lockstep-side.js';
import type { Network } from './networks.js';
import { askPytorch, findPython } from './python.js';

const { values: options } = parseArgs({
  options: {
    engine: { type: 'string', default: 'tensorflow' },
    seed: { type: 'string', default: String(randomInt(2 ** 20)) },
    'free-seeds': { type: 'string', default: '5' },
    'free-only': { type: 'boolean', default: false },
    plot: { type: 'string' },
    'write-fixtures': { type: 'boolean', default: false },
  },
});
const seed = Number(options.seed);
const python = await findPython();
if (python === undefined) {
  console.error(
    'The oracle needs a Python with PyTorch: pip install torch safetensors numpy, and name it in LOCKSTEP_PYTHON.',
  );
  process.exit(2);
}
if (options.engine !== 'tensorflow' && options.engine !== 'wasm') {
  console.error(`--engine: expected tensorflow or wasm, got ${options.engine}.`);
  process.exit(2);
}
const engine = await engineFor(options.engine);
let missed = 0;
/** One tie or ReLU that falls the other way moves a small gradient of the first layers by up to a percent. */
const cap = 2e-2;

async function teacherForced(network: Network, dropout: boolean, visits: readonly number[]): Promise<void> {
  const side = await LockstepSide.open(engine, network, dropout, seed);
  const batches = Math.max(...visits) + 1;
  const answer = await askPytorch(python as string, side, {
    seed,
    batches,
    visits,
    dropout,
    onednn: false,
    threads: [1],
  });
  for (const [n, { teacher, bytes }] of answer.teachers) {
    if (options['write-fixtures']) {
      const folder = new URL('./fixtures/', import.meta.url);
      await mkdir(folder, { recursive: true });
      const name = `${network}-${dropout ? 'dropout' : 'plain'}-${n}.safetensors`;
      await writeFile(fileURLToPath(new URL(name, folder)), bytes);
    }
    const lines = compare(side, teacher, cap);
    const bad = lines.filter(({ measured, bar }) => !(measured <= bar));
    missed += bad.length;
    const [loss] = lines;
    const worst = (prefix: string, exclude = '(zero)'): string => {
      const chosen = lines.filter(({ what }) => what.startsWith(prefix) && !what.includes(exclude));
      const [first] = chosen.sort((a, b) => b.measured / b.bar - a.measured / a.bar);
      if (!first) return '-';
      const name = first.what.split(' ')[1] ?? '';
      const theirs = first.theirs === undefined ? '' : `; PyTorch ${first.theirs}`;
      return `${first.measured.toExponential(1)} of ${first.bar.toExponential(1)} (${name}${theirs})`;
    };
    console.log(
      `| ${network} | ${dropout ? 'on' : 'off'} | ${n} | ${loss?.measured.toExponential(1) ?? ''} | ${worst('gradient')} ` +
        `| ${worst('statistics')} | ${lines.at(-1)?.measured.toExponential(1) ?? ''} | ${bad.length === 0 ? 'ok' : `MISSED: ${bad.map(({ what }) => what).join(', ')}`} |`,
    );
  }
}

/** Relative distance of a loss from a reference. */
function apart(loss = Number.NaN, from = Number.NaN): number {
  return Math.abs(loss - from) / Math.abs(from);
}

async function freeRunning(seeds: number): Promise<void> {
  const spans = [
    [0, 5],
    [5, 20],
    [20, 50],
    [50, 100],
  ] as const;
  const steps = 100;
  const ours = new Array<number>(steps).fill(0);
  const theirs = new Array<number>(steps).fill(0);
  for (let k = 0; k < seeds; k++) {
    const side = await LockstepSide.open(engine, 'convnet', false, seed + k);
    const request = {
      seed: seed + k,
      batches: steps,
      visits: [],
      dropout: false,
      onednn: true,
      threads: [1, 2],
    };
    const { losses } = await askPytorch(python as string, side, request);
    const [one = [], two = []] = [losses['1'], losses['2']];
    for (const [i, loss] of [...side.run(steps)].entries()) {
      ours[i] = (ours[i] ?? 0) + apart(loss, one[i]) / seeds;
      theirs[i] = (theirs[i] ?? 0) + apart(two[i], one[i]) / seeds;
    }
  }
  if (options.plot !== undefined) await writeFile(options.plot, plotDistances(ours, theirs, seeds));
  console.log(
    `\nFree-running from the same weights, ${seeds} seeds: mean relative distance of the loss from PyTorch's (1 thread)\n`,
  );
  console.log('| steps | Lockstep | PyTorch, 2 threads | ratio | |\n| --- | --- | --- | --- | --- |');
  for (const [from, to] of spans) {
    const mean = (of: readonly number[]): number =>
      of.slice(from, to).reduce((sum, value) => sum + value, 0) / (to - from);
    const [us, them] = [mean(ours), mean(theirs)];
    const ratio = us / them;
    // Before the curves part, both distances are a few roundings and their ratio says nothing: 1e-6 is enough.
    const ok = ratio <= 3 || us < 1e-6;
    if (!ok) missed++;
    console.log(
      `| ${from + 1} to ${to} | ${bar(us)} | ${bar(them)} | ${ratio.toFixed(2)} | ${ok ? 'ok' : 'MISSED'} |`,
    );
  }
}

/** A number with a bar for its order of magnitude, 1e-8 to 1. */
function bar(value: number): string {
  return `${value.toExponential(1)} ${'▇'.repeat(Math.max(0, Math.round(2 * (8 + Math.log10(value)))))}`;
}

console.log(`${engine.describe()}; seed ${seed} (--seed ${seed} repeats it)\n`);
console.log(
  "| network | Dropout | n | loss | worst gradient, against its bar | worst statistics | Adam's update | |\n" +
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
);
if (options['write-fixtures']) {
  await teacherForced('thin', false, [0, 1, 10, 50]);
  await teacherForced('thin', true, [10]);
} else {
  if (!options['free-only'])
    for (const dropout of [false, true]) await teacherForced('convnet', dropout, [0, 1, 10, 50, 200]);
  if (Number(options['free-seeds']) > 0) await freeRunning(Number(options['free-seeds']));
}
console.log(missed === 0 ? '\nAll within their bars.' : `\n${missed} bars missed.`);
process.exit(missed === 0 ? 0 : 1);
