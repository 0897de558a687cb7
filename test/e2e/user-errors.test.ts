import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

/** The fields of a definition that trains; a case replaces one of them. */
const fields = {
  model: `({ tf }) => tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] })] })`,
  data: `samples({ name: 'points', version: '1', inputs: [{ shape: [2], dtype: 'float32' }],
    targets: [{ shape: [], dtype: 'float32' }],
    train: { count: 24, get: (i) => ({ inputs: [[i / 24, 1]], targets: [i / 24] }) },
    test: { count: 8, get: (i) => ({ inputs: [[i / 8, 1]], targets: [i / 8] }) } })`,
  loss: `'meanSquaredError'`,
  metrics: `[]`,
  augment: `[]`,
};
type Field = keyof typeof fields;

interface Case {
  readonly what: string;
  readonly field: Field;
  readonly code: string;
  /** Part of the message besides the file and the line. */
  readonly says: string;
  /** False if the message has no line, because the value is wrong and nothing was thrown. */
  readonly hasLine?: boolean;
}

const dataWith = (get: string): string =>
  fields.data.replace(/get: \(i\) => .*targets: \[i \/ 24\] \}\)/, get);
const layer = (body: string): string => `({ tf }) => {
    class Own extends tf.layers.Layer {
      static className = 'Own';
      ${body}
    }
    return tf.sequential({ layers: [new Own({ inputShape: [2] }), tf.layers.dense({ units: 1 })] });
  }`;

const cases: readonly Case[] = [
  {
    what: 'a model that throws',
    field: 'model',
    code: `async ({ tf }) => { await null;\n  throw new RangeError('no layers'); // here\n }`,
    says: 'model: the training definition',
  },
  {
    what: 'a model that throws a string',
    field: 'model',
    code: `() => { throw 'no layers'; }`,
    says: 'no layers',
    hasLine: false,
  },
  {
    what: 'a model that returns nothing',
    field: 'model',
    code: `() => undefined`,
    says: 'got undefined',
    hasLine: false,
  },
  {
    what: 'a model with layers that do not fit',
    field: 'model',
    code: `({ tf }) => tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] }),\n  tf.layers.conv2d({ filters: 1, kernelSize: 3 })] })`,
    says: 'model: the training definition',
    hasLine: false,
  },
  {
    what: 'a layer whose build throws',
    field: 'model',
    code: layer(`build() {\n  throw new Error('no room'); // here\n }`),
    says: 'no room',
  },
  {
    what: 'a layer whose call throws',
    field: 'model',
    code: layer(`call(inputs) {\n  throw new Error('no call'); // here\n }`),
    says: 'no call',
  },
  {
    what: 'a source that cannot load',
    field: 'data',
    code: `{ load: async () => {\n  throw new Error('no network'); // here\n } }`,
    says: 'data: the training definition',
  },
  {
    what: 'a source that rejects with another value',
    field: 'data',
    code: `{ load: () => Promise.reject({ status: 404 }) }`,
    says: 'data: the training definition',
    hasLine: false,
  },
  {
    what: 'a sample that throws',
    field: 'data',
    code: dataWith(
      `get: (i) => {\n  if (i === 7) throw new Error('sample 7'); // here\n  return { inputs: [[i, 1]], targets: [i] }; }`,
    ),
    says: 'sample 7',
  },
  {
    what: 'a sample that is a promise',
    field: 'data',
    code: dataWith(`get: async (i) => ({ inputs: [[i, 1]], targets: [i] })`),
    says: 'got a promise',
    hasLine: false,
  },
  {
    what: 'a generator that throws',
    field: 'data',
    code: dataWith(`generate: async function* () {\n  throw new Error('no stream'); // here\n }`),
    says: 'no stream',
  },
  {
    what: 'a rejection that no call returns',
    field: 'data',
    code: dataWith(
      `get: (i) => {\n  if (i === 3) void Promise.reject(new Error('afterwards')); // here\n  return { inputs: [[i, 1]], targets: [i] }; }`,
    ),
    says: 'afterwards',
  },
  {
    what: 'a loss that throws',
    field: 'loss',
    code: `({ prediction }) => {\n  return prediction.nothing.at(1); // here\n }`,
    says: 'loss: the training definition',
  },
  {
    what: 'a loss that tfjs refuses',
    field: 'loss',
    code: `({ tf, prediction }) => {\n  return tf.matMul(prediction, tf.zeros([3, 3])); // here\n }`,
    says: 'loss: the training definition',
  },
  {
    what: 'a loss that returns nothing',
    field: 'loss',
    code: `() => {}`,
    says: 'got undefined',
    hasLine: false,
  },
  {
    what: 'a loss that is asynchronous',
    field: 'loss',
    code: `async ({ prediction }) => prediction`,
    says: 'got a promise',
    hasLine: false,
  },
  {
    what: 'a loss of another shape',
    field: 'loss',
    code: `({ tf, prediction }) => tf.mean(prediction)`,
    says: 'got a tensor of no dimension',
    hasLine: false,
  },
  {
    what: 'a loss without a gradient',
    field: 'loss',
    code: `({ tf, prediction }) => tf.zeros([prediction.shape[0]])`,
    says: 'loss: the training definition',
    hasLine: false,
  },
  {
    what: 'a metric that throws',
    field: 'metrics',
    code: `[{ name: 'own', compute: () => {\n  throw new Error('no metric'); // here\n } }]`,
    says: 'metrics "own": the training definition',
  },
  {
    what: 'a metric that returns a number',
    field: 'metrics',
    code: `[{ name: 'own', compute: () => 1 }]`,
    says: 'got a number',
    hasLine: false,
  },
  {
    what: 'an augmentation that throws',
    field: 'augment',
    code: `[({ index }) => {\n  throw new Error('no change'); // here\n }]`,
    says: 'augment: the training definition',
  },
  {
    what: 'an augmentation that is asynchronous',
    field: 'augment',
    code: `[async () => {}]`,
    says: 'got a promise',
    hasLine: false,
  },
];

/** An error of a worker reaches the command by a way of its own, which is the same for all errors of a field. */
const onePerField = cases.filter(({ field }, i) => cases.findIndex((one) => one.field === field) === i);

describe.each([
  ['--single-process', cases],
  ['--workers=2', onePerField],
] as const)('with %s, the user is told about', (workers, told) => {
  it.each(told)('$what', async ({ field, code, says, hasLine = true }) => {
    const all = { ...fields, [field]: code };
    // An interface and a type in front, which the transpiled file does not contain.
    const text = `import { defineTraining, samples } from 'lockstep';
interface Unused {
  readonly name: string;
}
type Other = Unused['name'];

export default defineTraining({ batchSize: 8, epochs: 2,
${Object.entries(all)
  .map(([name, value]) => `  ${name}: ${value},`)
  .join('\n')}
});
`;
    const folder = await temporaryFolder();
    const config = join(folder, 'lockstep.config.ts');
    await writeFile(config, text);
    const out = join(folder, 'run');
    const args = ['train', '--config', config, '--engine', 'wasm', '--shards', '2', '--out', out, workers];
    const { status, stderr, stdout } = await lockstep(args);
    expect(stderr + stdout).toContain(says);
    const line = text.split('\n').findIndex((one) => one.endsWith('// here')) + 1;
    if (hasLine) expect(stderr + stdout).toContain(`${config}:${line})`);
    expect(stderr + stdout).not.toMatch(/INVARIANT|Internal error|report it|InvariantError/);
    expect(status).toBe(2);
  });
});

it('a rejection that a callback leaves behind is a warning with its line, and the run ends as usual', async () => {
  const folder = await temporaryFolder();
  const config = join(folder, 'lockstep.config.ts');
  const text = `import { defineTraining, samples } from 'lockstep';
export default defineTraining({ batchSize: 8, epochs: 2,
${Object.entries(fields)
  .map(([name, value]) => `  ${name}: ${value},`)
  .join('\n')}
  callbacks: [{ onStep: ({ step }) => {
    if (step === 2) void Promise.reject(new Error('not posted')); // here
  } }],
});
`;
  await writeFile(config, text);
  const args = ['train', '--config', config, '--engine', 'wasm', '--shards', '2', '--workers', '2'];
  const { status, stderr, stdout } = await lockstep([...args, '--out', join(folder, 'run')]);
  const line = text.split('\n').findIndex((one) => one.endsWith('// here')) + 1;
  expect(stderr + stdout).toContain('not posted');
  expect(stderr + stdout).toContain(`${config}:${line})`);
  expect(status).toBe(0);
});
