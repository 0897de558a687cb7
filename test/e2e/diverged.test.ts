import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { epochPermutation } from '../../src/shared/random/permutation.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

const count = 24;
/** The sample with an unusual value in every case. */
const odd = 11;

const own = (name: string, body: string): string => `new (class extends tf.layers.Layer {
      static className = '${name}';
      call(inputs) { const x = Array.isArray(inputs) ? inputs[0] : inputs; return ${body}; }
    })({ name: '${name}' })`;

interface Case {
  readonly what: string;
  /** Layers between the first and the last one. */
  readonly layers?: string;
  readonly first?: string;
  readonly fields?: string;
  /** First and second input of sample \`odd\`, and its target. */
  readonly sample?: string;
  readonly says: RegExp;
  readonly advises: RegExp;
}

const cases: readonly Case[] = [
  {
    what: 'an output that overflows in the second layer',
    layers: own('exponential', 'tf.exp(tf.mul(x, 30))'),
    first: `kernelInitializer: 'ones', useBias: false`,
    sample: '[2, 2], 0',
    says: /a finite output of layer "exponential"/,
    advises: /scale the data/,
  },
  {
    what: 'a loss of the definition that takes the logarithm of 0',
    fields: `loss: ({ tf, prediction, target }) =>
      tf.add(tf.squeeze(tf.square(prediction), [1]), tf.log(tf.reshape(target, [-1]))),`,
    sample: '[0, 0], 0',
    says: /a finite loss of finite predictions/,
    advises: /Guard the logarithms/,
  },
  {
    what: 'a gradient of a root at 0',
    layers: own('root', 'tf.sqrt(tf.relu(x))'),
    first: `kernelInitializer: 'ones', useBias: false`,
    sample: '[0, 0], 0',
    says: /a finite gradient of "first\/kernel"/,
    advises: /guard the operation/,
  },
];

async function definition({ layers = '', first = '', fields = '', sample = '[1, 1], 1' }: Partial<Case>) {
  const folder = await temporaryFolder();
  const config = join(folder, 'lockstep.config.ts');
  await writeFile(
    config,
    `import { defineTraining, samples } from 'lockstep';
const get = (i: number) => {
  const [inputs, target] = i === ${odd} ? [${sample}] : [[(i + 1) / 24, 0.5], (i + 1) / 24];
  return { inputs: [inputs as number[]], targets: [[target as number]] };
};
export default defineTraining({
  batchSize: ${count}, epochs: 1, loss: 'meanSquaredError', schedule: { kind: 'constant' },
  ${fields}
  data: samples({ name: 'points', version: '1', inputs: [{ shape: [2], dtype: 'float32' }],
    targets: [{ shape: [1], dtype: 'float32' }], train: { count: ${count}, get }, test: { count: 4, get } }),
  model: ({ tf }) => tf.sequential({ layers: [
    tf.layers.dense({ name: 'first', units: 1, inputShape: [2], ${first} }),
    ${layers === '' ? '' : `${layers},`}
    tf.layers.dense({ name: 'last', units: 1 }),
  ] }),
});
`,
  );
  return { folder, config };
}

const errorOf = (events: readonly RunEvent[]) => events.find((event) => event.event === 'error');

it.each(cases)('names $what, its step and its shard, alike on 1 and 2 workers', async (one) => {
  const { folder, config } = await definition(one);
  // The shard is where the seed's permutation puts the sample: 6 of 24 positions are in each of 4 shards.
  const shard = Math.floor(epochPermutation(1, 0, count).indexOf(odd) / 6);
  const messages: string[] = [];
  for (const workers of ['--single-process', '--workers=2']) {
    const out = join(folder, workers);
    const args = ['train', '--config', config, '--engine', 'wasm', '--shards', '4', '--seed', '1'];
    const { status, events } = await lockstep([...args, workers, '--out', out, '--json']);
    const error = errorOf(events);
    expect(error?.code).toBe('DIVERGED');
    expect(error?.message).toMatch(one.says);
    expect(error?.message).toMatch(one.advises);
    expect(error?.message).toContain(`(step 1, shard ${shard}, `);
    expect(status).toBe(1);
    expect(await readdir(out)).not.toContain('model');
    messages.push(error?.message ?? '');
  }
  expect(messages[1]).toBe(messages[0]);
});

it('names a sample whose input is not finite, which an augmentation made', async () => {
  const { folder, config } = await definition({
    fields: `augment: [({ inputs, index }) => { if (index === ${odd}) inputs[0][0] = Infinity; }],`,
  });
  const args = ['train', '--config', config, '--engine', 'wasm', '--single-process', '--json'];
  const { status, events } = await lockstep([...args, '--out', join(folder, 'run')]);
  expect(errorOf(events)?.message).toMatch(new RegExp(`sample ${odd}\\b`));
  expect(status).not.toBe(0);
});

it.each(['--single-process', '--workers=2'])(
  'ends with an error if the last step makes the weights infinite, and keeps the checkpoint before (%s)',
  async (workers) => {
    const { folder, config } = await definition({
      first: `kernelInitializer: 'ones', useBias: false`,
      fields: `optimizer: { kind: 'sgd', learningRate: 1e5 },
        augment: [({ inputs, epoch }) => {
          for (const i of [0, 1]) inputs[0][i] *= epoch < 2 ? 1e-12 : 1e17;
        }],`,
    });
    const out = join(folder, 'run');
    // In step 3 the gradient is about 1e34, which is finite; times the learning rate it is not.
    const args = ['train', '--config', config, '--engine', 'wasm', '--shards', '2', '--epochs', '3', workers];
    const { status, events, stderr } = await lockstep([
      ...args,
      '--checkpoint-every',
      '2steps',
      '--out',
      out,
      '--json',
    ]);
    expect(status, stderr).toBe(1);
    expect(errorOf(events)).toMatchObject({ code: 'DIVERGED' });
    expect(errorOf(events)?.message).toMatch(/finite weights after step 3/);
    const kept = (await readdir(join(out, 'checkpoints'))).sort();
    expect(kept.at(-1)).toBe('step-000000002');
    const state = await readFile(join(out, 'checkpoints', 'step-000000002', 'state.safetensors'));
    const headerBytes = Number(state.readBigUInt64LE(0));
    const floats = new Float32Array(Uint8Array.from(state.subarray(8 + headerBytes)).buffer);
    expect(floats.every(Number.isFinite)).toBe(true);
    expect(await readdir(out)).not.toContain('model');
  },
);
