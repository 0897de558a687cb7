/**
 * Compares Lockstep with plain tfjs-node (`model.apply` on the gradient tape, `tf.train.adam`) on the models of bench/zoo and the
 * recipe, each in one process, in turn, with the same batch size and threads:
 * `npm run bench:step -- [--only NAME] [--shards 1,4] [--batch N] [--threads N] [--rounds N] [--steps N] [--wasm]`.
 *
 * Lockstep computes each shard separately, so more shards cost more; the weights depend on their number alone. With `--wasm`, Lockstep
 * also runs on WebAssembly, with the first number of shards.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../src/shared/arithmetic/quantile.js';
import { imagesPerSecond, machineLine } from './measure.js';

const { values: given } = parseArgs({
  options: {
    only: { type: 'string' },
    shards: { type: 'string', default: '1,4' },
    batch: { type: 'string', default: '64' },
    threads: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    steps: { type: 'string', default: '30' },
    wasm: { type: 'boolean', default: false },
  },
});
const [threads, rounds, steps] = [given.threads, given.rounds, given.steps].map(Number) as [
  number,
  number,
  number,
];
const batch = Number(given.batch);
const warmUp = Math.floor(steps / 3);
const shardCounts = given.shards.split(',').map(Number);
const variants = shardCounts.map((shards) => ({ name: `${shards} shard(s)`, shards, engine: 'tensorflow' }));
if (given.wasm) variants.push({ name: 'WebAssembly', shards: shardCounts[0] ?? 1, engine: 'wasm' });
const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const models = readdirSync(file('./zoo'))
  .filter((name) => name.endsWith('.config.ts'))
  .map((name) => ({ name: name.replace('.config.ts', ''), config: file(`./zoo/${name}`) }))
  .concat({ name: 'convnet', config: file('../examples/mnist/lockstep.config.ts') })
  .filter(({ name }) => given.only === undefined || name === given.only);
if (models.length === 0)
  throw new Error(`--only: expected a model of bench/zoo or convnet, got "${given.only ?? ''}".`);

/** Returns samples per second. */
function plainRate(config: string): number {
  const options = { config, threads, batch, steps, 'warm-up': warmUp };
  const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const output = execFileSync(file('../node_modules/.bin/jiti'), [file('./peers/tfjs-train.ts'), ...args], {
    encoding: 'utf8',
    timeout: 600_000,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return (JSON.parse(output.trim().split('\n').at(-1) ?? '') as { imagesPerSecond: number }).imagesPerSecond;
}

function lockstepRate(config: string, { shards, engine }: (typeof variants)[number]): Promise<number> {
  const options = ['--single-process', '--threads', threads, '--batch-size', batch, '--shards', shards];
  return imagesPerSecond({ options: [...options, '--engine', engine, '--config', config], steps, warmUp });
}

console.log(
  `${machineLine()}, one process, ${threads} thread(s), batch ${batch}, ${rounds} rounds of ${steps} steps in turn`,
);
console.log('median samples per second, and the median ratio to plain tfjs-node:');
for (const { name, config } of models) {
  const measured: { readonly plain: number; readonly own: readonly number[] }[] = [];
  for (let round = 0; round < rounds; round++) {
    const plain = plainRate(config);
    const own: number[] = [];
    for (const variant of variants) own.push(await lockstepRate(config, variant));
    measured.push({ plain, own });
  }
  const figures = variants.map(({ name: variant }, i) => {
    const rate = median(measured.map(({ own }) => own[i] ?? Number.NaN));
    const ratio = median(measured.map(({ plain, own }) => (own[i] ?? Number.NaN) / plain));
    return `${variant} ${rate.toFixed(0)} (${ratio.toFixed(2)}x)`;
  });
  const plain = median(measured.map((one) => one.plain));
  console.log([`${name}: tfjs-node ${plain.toFixed(0)}`, ...figures].join(', '));
}
