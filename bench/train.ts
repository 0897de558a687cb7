/**
 * Compares the throughput of Lockstep with PyTorch, JAX and TensorFlow on the same network, batch size, threads and number of steps,
 * alternating: `npm run bench -- [--rounds N] [--steps N] [--only NAME] [--json FILE]`. The models are the recipe's ConvNet and those
 * of bench/zoo. PyTorch runs with tcmalloc (or raised thresholds of glibc), with both memory layouts for models of pictures, and with
 * torch.compile.
 *
 * A setting of a peer that reaches less than 0.8 of the best one in the first round is not repeated, since it cannot become the best.
 * Prints a table of medians, the medians of Lockstep's ratios to each peer and to the best one in the same round, and the share of the
 * machine's rate of matrix products, and writes them as JSON. LOCKSTEP_PYTHON is the path of a Python with the peers; one that is not installed is skipped.
 */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine, mnistFolder } from './measure.js';
import { allocator, isInstalled, runPeer, type Peer, type PeerResult } from './peers.js';

const { values: given } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '60' },
    only: { type: 'string' },
    json: { type: 'string' },
  },
});
const [rounds, steps] = [Number(given.rounds), Number(given.steps)];
const warmUp = Math.min(20, Math.floor(steps / 3));
/** Part of the best peer's rate in the first round below which a setting is not repeated. */
const repeatedFrom = 0.8;
const data = mnistFolder();

interface Setup {
  readonly model: string;
  /** Number of processes with `threads` threads each; a single Lockstep process runs without a launcher. */
  readonly processes: number;
  readonly threads: number;
  readonly batch: number;
  readonly precision: 'float32' | 'bfloat16';
}

interface Variant {
  readonly name: string;
  /** The program to compare with; undefined for Lockstep. */
  readonly peer: Peer | undefined;
  readonly run: () => number | Promise<number>;
}

const versions = new Set<string>();
const flopsPerSample = new Map<string, number>();
const modelsOfPictures = ['convnet', 'resnet', 'mobilenet', 'unet'];

function peerRate(peer: Peer, setup: Setup, settings: Readonly<Record<string, string | number>>): number {
  const { model, processes, threads, batch, precision } = setup;
  const shared = { processes, batch, steps, 'warm-up': warmUp, ...settings };
  const options = {
    torch: { model, data, threads, precision, ...shared },
    jax: { model, ...shared },
    tensorflow: { data, threads, precision, ...shared },
  }[peer];
  const result = runPeer<PeerResult>(`${peer}_train.py`, options);
  versions.add(result.version);
  if (result.flopsPerSample !== undefined) flopsPerSample.set(model, result.flopsPerSample);
  return result.imagesPerSecond;
}

function variantsOf(setup: Setup): readonly Variant[] {
  const { model, processes, threads, batch, precision } = setup;
  const options = processes === 1 ? ['--single-process'] : ['--workers', processes];
  options.push('--threads', threads, '--batch-size', batch, '--precision', precision);
  if (model !== 'convnet') {
    options.push('--config', fileURLToPath(new URL(`./zoo/${model}.config.ts`, import.meta.url)));
  }
  const lockstep = {
    name: 'Lockstep',
    peer: undefined,
    run: () => imagesPerSecond({ options, steps, warmUp }),
  };
  const layouts = modelsOfPictures.includes(model) ? ['contiguous', 'channels_last'] : ['contiguous'];
  const torch = layouts.flatMap((layout) =>
    ['no', 'yes'].map((compile) => ({
      name: `PyTorch, ${layout}${compile === 'yes' ? ', torch.compile' : ''}`,
      peer: 'torch' as const,
      run: () => peerRate('torch', setup, { layout, compile }),
    })),
  );
  const jax = { name: 'JAX', peer: 'jax' as const, run: () => peerRate('jax', setup, {}) };
  const tensorflow = (processes === 1 ? ['own'] : ['own', 'synchronized']).map((norm) => ({
    name: `TensorFlow, BatchNorm ${norm}`,
    peer: 'tensorflow' as const,
    run: () => peerRate('tensorflow', setup, { 'batch-norm': norm }),
  }));
  return [
    lockstep,
    ...torch,
    ...(precision === 'float32' && threads === 1 ? [jax] : []),
    ...(model === 'convnet' ? tensorflow : []),
  ];
}

const two = { processes: 2, threads: 1, precision: 'float32' } as const;
const groups = [
  { model: 'convnet', batch: 64, ...two },
  { model: 'convnet', batch: 128, ...two },
  { model: 'convnet', batch: 128, ...two, precision: 'bfloat16' as const },
  { model: 'convnet', batch: 64, ...two, processes: 1, threads: 2 },
  { model: 'mlp', batch: 128, ...two },
  { model: 'resnet', batch: 128, ...two },
  { model: 'mobilenet', batch: 64, ...two },
  { model: 'unet', batch: 64, ...two },
  { model: 'lstm', batch: 64, ...two },
  { model: 'gru', batch: 64, ...two },
  { model: 'transformer', batch: 64, ...two },
  { model: 'transformer-custom', batch: 64, ...two },
  { model: 'embedding-bag', batch: 64, ...two },
]
  .map((setup) => ({
    setup,
    name: `${setup.model}, ${setup.processes}x${setup.threads}, batch ${setup.batch}, ${setup.precision}`,
  }))
  .filter(({ name }) => given.only === undefined || name.includes(given.only));
if (groups.length === 0) {
  console.error(
    `bench: --only ${given.only ?? ''} matches no model, e.g. "lstm" or "convnet, 2x1, batch 64".`,
  );
  process.exit(2);
}

const installed = {
  torch: isInstalled('torch'),
  jax: isInstalled('jax'),
  tensorflow: isInstalled('tensorflow'),
};
const peaks: number[] = [];
const report = [];
for (const { setup, name } of groups) {
  const present = variantsOf(setup).filter(({ peer }) => peer === undefined || installed[peer]);
  const measured = present.map((variant) => ({ variant, rates: [] as number[], error: '' }));
  for (let round = 0; round < rounds; round++) {
    if (installed.torch) {
      peaks.push(
        runPeer<{ flopsPerSecond: number }>('torch_peak.py', { processes: two.processes }).flopsPerSecond,
      );
    }
    const first = measured.map(({ variant, rates }) => (variant.peer ? (rates[0] ?? 0) : 0));
    const enough = repeatedFrom * Math.max(...first);
    for (const entry of measured) {
      if (entry.error !== '' || (round > 0 && entry.variant.peer && (entry.rates[0] ?? 0) < enough)) continue;
      try {
        entry.rates.push(await entry.variant.run());
      } catch (error) {
        // A setting that a peer does not support, such as torch.compile of some model, does not end the comparison.
        if (entry.variant.peer === undefined) throw error;
        entry.error = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
        console.log(`${name}: ${entry.variant.name} failed and is left out: ${entry.error}\n`);
      }
    }
  }
  const medians = measured
    .filter(({ rates, error }) => error === '' && rates.length > 0)
    .map(({ variant, rates }) => ({
      name: variant.name,
      peer: variant.peer,
      rates,
      imagesPerSecond: median(rates),
    }));
  const own = medians.find(({ peer }) => peer === undefined)?.rates ?? [];
  const ratioTo = (rates: readonly number[]): number =>
    median(rates.map((rate, round) => (own[round] ?? Number.NaN) / rate));
  const peers = medians.filter(({ peer, rates }) => peer && rates.length === rounds);
  const [bestPeer] = peers.sort((a, b) => b.imagesPerSecond - a.imagesPerSecond);
  report.push({
    name,
    flopsPerSample: flopsPerSample.get(setup.model),
    ratioToBestPeer: bestPeer && ratioTo(bestPeer.rates),
    variants: medians.map((result) => ({ ...result, lockstepRatio: ratioTo(result.rates) })),
  });
}

const peak = peaks.length > 0 ? median(peaks) : undefined;
const heading = [
  machineLine(),
  ...versions,
  `PyTorch's allocator: ${allocator.name}`,
  ...(peak === undefined
    ? []
    : [`matrix products: ${(peak / 1e9).toFixed(0)} GFLOP/s in ${two.processes} processes`]),
  `${rounds} rounds of ${steps} steps, alternating`,
].join(', ');
console.log(`${heading}\n`);
console.log(
  '| model, processes x threads | program | samples per second | Lockstep / program | share of peak |',
);
console.log('| --- | --- | --- | --- | --- |');
for (const { name, variants, flopsPerSample: flops, ratioToBestPeer } of report) {
  for (const { name: program, peer, rates, imagesPerSecond: rate, lockstepRatio } of variants) {
    const ratio = peer === undefined ? '' : `${lockstepRatio.toFixed(2)}x`;
    const share =
      flops === undefined || peak === undefined ? '' : `${((100 * flops * rate) / peak).toFixed(1)} %`;
    const once = rates.length < rounds ? ' (first round)' : '';
    console.log(`| ${name} | ${program} | ${rate.toFixed(0)}${once} | ${ratio} | ${share} |`);
  }
  if (ratioToBestPeer !== undefined)
    console.log(`| ${name} | **best peer** | | **${ratioToBestPeer.toFixed(2)}x** | |`);
}
if (given.json !== undefined) {
  const date = new Date().toISOString();
  writeFileSync(given.json, `${JSON.stringify({ date, machine: heading, groups: report }, undefined, 2)}\n`);
}
