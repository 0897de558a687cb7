import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

const env = { LOCKSTEP_ENGINE: 'wasm' };

/** A model whose weights are known: its logits are the three inputs of a sample. */
const definition = `import { defineTraining, samples } from 'lockstep';
const rows = [[2, 0, 0], [0, 1, 0], [0, 0, 3], [1, 0, 0]];
const set = { count: 4, get: (i) => ({ inputs: [rows[i]], targets: [i % 3] }) };
export default defineTraining({
  data: samples({ name: 'rows', version: '1', inputs: [{ shape: [3], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes: 3 }], train: set, test: set }),
  optimizer: { kind: 'sgd', learningRate: 1e-30 },
  model: ({ tf }) => tf.sequential({
    layers: [tf.layers.dense({ units: 3, inputShape: [3], kernelInitializer: 'identity', useBias: false })],
  }),
});
`;

interface Prediction {
  readonly event: string;
  readonly sample?: number;
  readonly outputs?: readonly {
    readonly label: number;
    readonly name?: string;
    readonly ranked: readonly { readonly probability: number }[];
  }[];
  readonly metrics?: Readonly<Record<string, number>>;
  readonly count?: number;
}

/** Trains a definition for one step. Returns the working folder, in which the run is `run`. */
async function trainedIn(text: string, evaluate = 'none'): Promise<string> {
  const cwd = await temporaryFolder();
  await writeFile(join(cwd, 'lockstep.config.ts'), text);
  const options = `--single-process --max-steps 1 --batch-size 4 --evaluate ${evaluate} --out run`;
  const { status, stderr } = await lockstep(['train', ...options.split(' ')], { cwd, env });
  expect(status, stderr).toBe(0);
  return cwd;
}

describe('lockstep predict with samples in JSON', () => {
  it('predicts from a list, from lines, and from samples with labels, which it summarizes', async () => {
    const cwd = await trainedIn(definition);
    await writeFile(join(cwd, 'list.json'), '[[3, 1, 0], [0, 0, 2]]');
    await writeFile(
      join(cwd, 'lines.ndjson'),
      '{"inputs":[3,1,0],"label":0}\n{"inputs":[0,2,0],"label":"cat"}\n{"inputs":[5,0,1],"label":2}\n',
    );
    const predict = (...args: string[]) => lockstep(['predict', 'run', ...args], { cwd, env });

    const json = await predict('list.json', '--json');
    expect(json.status, json.stderr).toBe(0);
    const [first, second] = json.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Prediction);
    expect(first).toMatchObject({ sample: 1, outputs: [{ label: 0 }] });
    expect(second).toMatchObject({ sample: 2, outputs: [{ label: 2 }] });
    // The softmax of (3, 1, 0) and of (0, 0, 2).
    const e = Math.exp;
    expect(first?.outputs?.[0]?.ranked[0]?.probability).toBeCloseTo(e(3) / (e(3) + e(1) + 1), 5);
    expect(second?.outputs?.[0]?.ranked[0]?.probability).toBeCloseTo(e(2) / (e(2) + 2), 5);

    const classes = ['--classes', 'dog, cat,bird'];
    const text = await predict('lines.ndjson', ...classes);
    expect(text.stdout).toMatch(/^lines\.ndjson, sample 1: dog \(84\.4%; then cat 11\.4%, bird 4\.2%\)$/m);
    // Predicted dog, cat, dog for dog, cat, bird: precisions 1/2, 1, 0; recalls 1, 1, 0; F1 2/3, 1, 0.
    expect(text.stdout).toMatch(
      /^dense\S*, 3 with a known answer: accuracy: 0\.6667, precision: 0\.5000, recall: 0\.6667, f1: 0\.5556$/m,
    );
    const summary =
      (await predict('lines.ndjson', ...classes, '--json')).stdout.trim().split('\n').at(-1) ?? '';
    expect(JSON.parse(summary)).toMatchObject({ event: 'summary', count: 3 });

    await writeFile(join(cwd, 'short.json'), '[[1, 2]]');
    const wrong = await predict('short.json', 'list.json');
    expect(wrong.stderr).toMatch(/short\.json, sample 1: expected 3 numbers for the input ".*", got 2\./);
    expect(wrong.stdout).toMatch(/list\.json, sample 2: 2 /);
    expect(wrong.status).toBe(2);
  });

  it('predicts from CSV files for a model of tensors, and refuses other shapes and pictures with the remedy', async () => {
    const cwd = await trainedIn(
      definition
        .replace('samples }', 'arrays }')
        .replace(
          /data: samples.*\n/,
          "data: arrays({ inputs: rows, targets: [0, 1, 2, 0], test: { inputs: rows, targets: [0, 1, 2, 0] }, classes: 3, classNames: ['dog', 'cat', 'bird'] }),\n",
        )
        .replace(/const set.*\n/, ''),
      'test',
    );
    const predict = (...args: string[]) => lockstep(['predict', 'run', ...args], { cwd, env });
    await writeFile(join(cwd, 'named.csv'), 'a,b,c,label\n3,1,0,0\n0,2,0,cat\n5,0,1,2\n');
    await writeFile(join(cwd, 'plain.csv'), '0,0,2\n');
    const text = await predict('named.csv', 'plain.csv');
    expect(text.status, text.stderr).toBe(0);
    // The softmax of (3, 1, 0).
    expect(text.stdout).toMatch(/^named\.csv, line 2: dog \(84\.4%; then cat 11\.4%, bird 4\.2%\)$/m);
    expect(text.stdout).toMatch(/^named\.csv, line 4: dog/m);
    expect(text.stdout).toMatch(/^plain\.csv, line 1: bird/m);
    expect(text.stdout).toMatch(/3 with a known answer: accuracy: 0\.6667/);
    const json = await predict('plain.csv', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ file: 'plain.csv', line: 1, outputs: [{ label: 2 }] });

    await writeFile(join(cwd, 'wide.csv'), '1,2,3,4\n');
    const wide = await predict('wide.csv');
    expect(wide.stderr).toMatch(/wide\.csv, line 1: expected 3 numbers \(dense\S*: 3\), got 4 cells\./);
    await writeFile(join(cwd, 'words.csv'), 'a,b,c\n1,two,3\n');
    expect((await predict('words.csv')).stderr).toMatch(
      /words\.csv, line 2: expected a number in cell 2, got "two"/,
    );
    await writeFile(join(cwd, 'x.png'), '');
    const picture = await predict('x.png');
    expect(picture.stderr).toMatch(/for predictions from pictures, got 3\. Write the samples as CSV/);
    expect([wide.status, picture.status]).toEqual([2, 2]);
  });

  it('reads pictures of three channels for a model without saved preprocessing', async () => {
    const image = [8, 8, 3];
    const cwd = await trainedIn(
      definition
        .replace('rows[i]', 'new Float32Array(192).fill(i % 3)')
        .replace('shape: [3]', `shape: ${JSON.stringify(image)}`)
        .replace(
          /layers: \[.*\]/,
          `layers: [tf.layers.globalAveragePooling2d({ inputShape: ${JSON.stringify(image)} }), tf.layers.dense({ units: 3, kernelInitializer: 'identity', useBias: false })]`,
        ),
    );
    await sharp({
      create: { width: 40, height: 20, channels: 3, background: { r: 10, g: 250, b: 20 } },
    }).toFile(join(cwd, 'green.png'));
    const predicted = await lockstep(['predict', 'run', 'green.png', '--classes', 'red,green,blue'], {
      cwd,
      env,
    });
    expect(predicted.stdout).toMatch(/^green\.png: green \(/);
  });
});
