import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import { readModelFiles } from '../../src/worker/model-files/load-model.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const train = ['train', '--engine', 'wasm', '--seed', '1', '--single-process', '--out', 'run', '--json'];

/** Opens the saved model of a run with tfjs's own loader. */
async function openSaved(folder: string): Promise<tf.LayersModel> {
  const { artifacts } = await readModelFiles(join(folder, 'run'));
  return tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
}

interface Prediction {
  readonly label: number;
  readonly name: string;
  readonly ranked: readonly { readonly label: number; readonly name: string; readonly probability: number }[];
}

describe('a model of pictures in class folders', () => {
  const definition = `
import { defineTraining, imageFolder } from 'lockstep';
export default defineTraining({
  data: imageFolder({ train: 'photos/train', test: 'photos/test', height: 4, width: 4, background: '#00ff00', normalize: { mean: 0.25, std: 0.5 } }),
  batchSize: 2,
  epochs: 4,
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.flatten({ inputShape: [4, 4, 3] }), tf.layers.dense({ units: 2 })] }),
});
`;

  it('predicts from the values on which it was trained, and prints the names of the classes', async () => {
    const folder = await temporaryFolder();
    const clear = { create: { width: 8, height: 8, channels: 4, background: '#00000000' } } as const;
    const red = { create: { width: 8, height: 8, channels: 3, background: '#ff0000' } } as const;
    for (const set of ['train', 'test']) {
      for (const [name, picture] of [['clear', clear] as const, ['red', red] as const]) {
        const file = join(folder, 'photos', set, name, '1.png');
        await mkdir(dirname(file), { recursive: true });
        await sharp(picture).png().toFile(file);
      }
    }
    await mkdir(join(folder, 'photos', 'train', '.ipynb_checkpoints'));
    await writeFile(join(folder, 'lockstep.config.js'), definition);
    const trained = await lockstep(train, { cwd: folder });
    expect(trained.status).toBe(0);
    const warnings = trained.events.flatMap((event) => (event.event === 'warning' ? [event.message] : []));
    expect(warnings.join()).toContain('1 hidden or system entry is left out: .ipynb_checkpoints.');

    const files = ['photos/test/clear/1.png', 'photos/test/red/1.png'];
    const { status, stdout } = await lockstep(['predict', 'run', ...files, '--json', '--engine', 'wasm'], {
      cwd: folder,
    });
    expect(status).toBe(0);
    const answers = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Prediction);
    const model = await openSaved(folder);
    // A transparent pixel is green, (0, 1, 0), and a red one (1, 0, 0); each becomes (x - 0.25) / 0.5.
    const colours = [
      [-0.5, 1.5, -0.5],
      [1.5, -0.5, -0.5],
    ];
    for (const [i, colour] of colours.entries()) {
      const pixels = Array.from({ length: 16 }, () => colour).flat();
      const logits = model.predict(tf.tensor4d(pixels, [1, 4, 4, 3])) as tf.Tensor;
      const expected = tf.softmax(logits).dataSync<'float32'>();
      for (const { label, name, probability } of answers[i]!.ranked) {
        expect(name).toBe(['clear', 'red'][label]);
        expect(probability).toBeCloseTo(expected[label]!, 5);
      }
    }
    const text = await lockstep(['predict', 'run', 'photos/test/red/1.png', '--engine', 'wasm'], {
      cwd: folder,
    });
    expect(text.stdout).toMatch(/^photos\/test\/red\/1\.png: (red|clear) \(/);
    const exported = await lockstep(['export', 'run', '--format', 'onnx', '--engine', 'wasm'], {
      cwd: folder,
    });
    expect(exported.stdout).toContain('Inputs are pixels as (x / 255 - 0.25) / 0.5, channels last');
  });
});

describe('a model of a table', () => {
  const definition = `
import { csv, defineTraining } from 'lockstep';
export default defineTraining({
  data: csv({ train: 'train.csv', test: 'test.csv', targets: ['price'] }),
  loss: 'meanSquaredError',
  batchSize: 2,
  epochs: 2,
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.dense({ inputShape: [3], units: 1 })] }),
});
`;

  it('is evaluated with the means and categories of its training, also when the training file has changed', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'lockstep.config.js'), definition);
    await writeFile(join(folder, 'train.csv'), 'area,kind,price\n1,b,1\n3,c,2\n');
    await writeFile(join(folder, 'test.csv'), 'area,kind,price\n4,c,5\n');
    expect((await lockstep(train, { cwd: folder })).status).toBe(0);
    const saved = JSON.parse(
      await readFile(join(folder, 'run', 'model', 'preprocessing.json'), 'utf8'),
    ) as unknown;
    expect(saved).toEqual({
      kind: 'table',
      columns: [
        { kind: 'number', name: 'area', mean: 2, deviation: 1, fill: null },
        { kind: 'category', name: 'kind', values: ['b', 'c'], fill: null },
        { kind: 'number', name: 'price', mean: 0, deviation: 1, fill: null },
      ],
      reading: {
        version: 1,
        inputs: [['area', 'kind']],
        targets: ['price'],
        delimiter: ',',
        decimal: '.',
        encoding: null,
        categories: [],
        dropRow: [],
      },
    });
    // With these rows the mean would be 30 and the deviation about 8.
    await writeFile(join(folder, 'train.csv'), 'area,kind,price\n20,c,1\n40,b,2\n30,b,2\n');
    const evaluate = () =>
      lockstep(['eval', 'run', '--config', 'lockstep.config.js', '--engine', 'wasm', '--json'], {
        cwd: folder,
      });
    const { status, stdout } = await evaluate();
    expect(status).toBe(0);
    const model = await openSaved(folder);
    const [predicted = 0] = (model.predict(tf.tensor2d([[2, 0, 1]])) as tf.Tensor).dataSync<'float32'>();
    const { loss } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { loss: number };
    expect(Math.abs(loss / (predicted - 5) ** 2 - 1)).toBeLessThan(1e-5);

    await writeFile(join(folder, 'test.csv'), 'area,kind,price\n4,a,5\n');
    const unseen = await evaluate();
    expect(unseen.status).toBe(2);
    expect(unseen.stderr).toMatch(/test\.csv, line 2, column "kind": expected one of .* \(b, c\), got "a"/);
  });
});
