import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelFiles } from '../../src/worker/model-files/load-model.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

const train = ['train', '--engine', 'wasm', '--seed', '1', '--single-process', '--out', 'run', '--json'];
const predict = (folder: string, ...args: readonly string[]) =>
  lockstep(['predict', 'run', ...args, '--engine', 'wasm'], { cwd: folder });

/** Opens the saved model of a run with tfjs's own loader. */
async function openSaved(folder: string): Promise<tf.LayersModel> {
  const { artifacts } = await readModelFiles(join(folder, 'run'));
  return tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
}

interface Target {
  readonly target: string;
  readonly value?: number;
  readonly label?: number;
  readonly name?: string;
  readonly probability?: number;
  readonly ranked?: readonly {
    readonly label: number;
    readonly name: string;
    readonly probability: number;
  }[];
}
interface Row {
  readonly event: string;
  readonly file: string;
  readonly line: number;
  readonly targets: readonly Target[];
}
const rowsOf = (stdout: string): Row[] =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Row);

/** Each character is one byte, as in windows-1252 for those that the test uses. */
const write = (folder: string, name: string, lines: readonly string[]) =>
  writeFile(join(folder, name), Buffer.from(`${lines.join('\n')}\n`, 'latin1'));

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('a model of a table with two inputs and two outputs', () => {
  const definition = `
import { csv, defineTraining } from 'lockstep';
export default defineTraining({
  data: csv({
    train: 'train.csv', test: 'test.csv', delimiter: ';', decimal: ',', encoding: 'windows-1252',
    inputs: [['area', 'kind'], ['rooms']], targets: ['price', 'zone'], categories: ['zone'],
    missing: { area: 'dropRow', rooms: 'mean' },
  }),
  loss: { price: 'meanSquaredError', zone: 'softmaxCrossEntropy' },
  batchSize: 2,
  epochs: 3,
  model: ({ tf }) => {
    const [a, b] = [tf.input({ shape: [3] }), tf.input({ shape: [1] })];
    const hidden = tf.layers.dense({ units: 4, activation: 'tanh' }).apply(tf.layers.concatenate().apply([a, b]));
    const price = tf.layers.dense({ units: 1, name: 'price' }).apply(hidden);
    const zone = tf.layers.dense({ units: 3, name: 'zone' }).apply(hidden);
    return tf.model({ inputs: [a, b], outputs: [price, zone] });
  },
});
`;
  // The tests share the run, which takes longest.
  let folder = '';
  afterAll(() => rm(folder, { recursive: true, force: true }));
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lockstep-test-'));
    await writeFile(join(folder, 'lockstep.config.js'), definition);
    // The row without an area is left out. In the others, area has mean 2 and deviation 1.5, and rooms has mean 3.
    const header = 'area;kind;rooms;price;zone';
    const rows = ['0,5;Käse;1;10;2', '3,5;Öl;5;20;0', ';Öl;9;5;1', '0,5;Öl;;30;1', '3,5;Käse;3;5;2'];
    await write(folder, 'train.csv', [header, ...rows]);
    await write(folder, 'test.csv', [header, '1;Öl;2;3;0']);
    const trained = await lockstep(train, { cwd: folder });
    expect(trained.status, trained.stderr).toBe(0);
  });

  it('predicts from rows as tfjs does from the values that are normalized by hand', async () => {
    // Other columns and another order, a missing number of rooms, and a row that `dropRow` leaves out.
    await write(folder, 'new.csv', [
      'rooms;kind;id;area',
      '7;Öl;a;2',
      '',
      '1;Käse;b;-1',
      '2;Öl;c;',
      'NA;Käse;d;3,5',
    ]);
    const { status, stdout, stderr } = await predict(folder, 'new.csv', '--json');
    expect(status, stderr).toBe(0);
    const path = join(folder, 'new.csv');
    expect(stderr.trim().split('\n')).toEqual([
      `Warning: ${path}: the model was trained without the columns id; they are not used.`,
      `Warning: ${path}: 1 of 4 rows are left out because they lack a value (lines 5).`,
      `Warning: ${path}, column "rooms": 1 missing values are replaced by 3.`,
    ]);
    const rows = rowsOf(stdout);
    expect(rows.map(({ event, file, line }) => [event, file, line])).toEqual([
      ['prediction', 'new.csv', 2],
      ['prediction', 'new.csv', 4],
      ['prediction', 'new.csv', 6],
    ]);
    // The area, then 1 for Käse and 1 for Öl. The deviation of the rooms 1, 5 and 3 is the root of 8 / 3.
    const areas = [
      [0, 0, 1],
      [-2, 1, 0],
      [1, 1, 0],
    ];
    const deviation = Math.sqrt(8 / 3);
    const rooms = [[4 / deviation], [-2 / deviation], [0]];
    const [price, zone] = (await openSaved(folder)).predict([
      tf.tensor2d(areas),
      tf.tensor2d(rooms),
    ]) as tf.Tensor[];
    const prices = await price!.data();
    const zones = (await tf.softmax(zone!).array()) as number[][];
    for (const [i, { targets }] of rows.entries()) {
      const [first, second] = targets as [Target, Target];
      expect([first.target, second.target]).toEqual(['price', 'zone']);
      expect(first.value).toBeCloseTo(prices[i]!, 4);
      expect(second.ranked).toHaveLength(3);
      for (const { label, name, probability } of second.ranked!) {
        expect(name).toBe(String(label));
        expect(probability).toBeCloseTo(zones[i]![label]!, 5);
      }
      const best = Math.max(...zones[i]!);
      expect(second.probability).toBeCloseTo(best, 5);
      expect(second.name).toBe(String(zones[i]!.indexOf(best)));
    }
    const text = await predict(folder, 'new.csv');
    const [line = ''] = text.stdout.split('\n');
    const [, shown, name] =
      /^new\.csv, line 2: price (\S+), zone (\d) \(\d+\.\d%; then \d \d/.exec(line) ?? [];
    expect(Number(shown), line).toBeCloseTo(prices[0]!, 3);
    expect(name).toBe(rows[0]!.targets[1]!.name);

    // The same rows as JSON.
    await writeFile(
      join(folder, 'new.json'),
      JSON.stringify([
        { rooms: 7, kind: 'Öl', area: 2 },
        { rooms: '1', kind: 'Käse', area: -1 },
        { rooms: null, kind: 'Käse', area: 3.5 },
      ]),
    );
    const inJson = await predict(folder, 'new.json', '--json');
    expect(inJson.status, inJson.stderr).toBe(0);
    expect(rowsOf(inJson.stdout)).toEqual(
      rows.map(({ event, targets }, i) => ({ event, file: 'new.json', row: i + 1, targets })),
    );
    await writeFile(join(folder, 'wrong.json'), '[{"area":1,"kind":"Öl"}]');
    expect((await predict(folder, 'wrong.json')).stderr).toMatch(
      /wrong\.json: expected a column "rooms", got area, kind\. Correct its name, or give each row a value for it\./,
    );
    await writeFile(
      join(folder, 'lines.ndjson'),
      '{"area":1,"kind":"Öl","rooms":1}\n{"area":"x","kind":"Öl","rooms":1}\n',
    );
    expect((await predict(folder, 'lines.ndjson')).stderr).toMatch(
      /lines\.ndjson, row 2, column "area": expected a number, got "x"/,
    );

    // Prices that are 2 above and 4 below the predicted ones.
    const answers = [prices[0]! - 2, prices[1]! + 4].map((value) => value.toFixed(6).replace('.', ','));
    await write(folder, 'known.csv', [
      'rooms;kind;area;price',
      `7;Öl;2;${answers[0]}`,
      `1;Käse;-1;${answers[1]}`,
    ]);
    expect((await predict(folder, 'known.csv')).stdout).toMatch(
      /^price, 2 with a known answer: meanAbsoluteError: 3\.0000, meanSquaredError: 10\.0000$/m,
    );
  });

  it('is refused by the demo, whose page draws pictures, with the command that predicts', async () => {
    const { status, stdout, stderr } = await lockstep(['demo', 'run'], { cwd: folder });
    expect(stderr).toMatch(
      /Model in run: expected one input of height x width x 1, .* got 3 and 1\. Use it with: lockstep predict run FILE/,
    );
    expect([status, stdout]).toEqual([2, '']);
  });

  it.each<[string, readonly string[], RegExp]>([
    [
      'a column',
      ['area;kind', '1;Öl'],
      /, line 1: expected a column "rooms", got area, kind\. Correct its name, or divide the cells by ";"\./,
    ],
    [
      'a number',
      ['area;kind;rooms', '1;Öl;1', '1.5;Öl;1'],
      /, line 3, column "area": expected a number, got "1\.5"\./,
    ],
    [
      'a category',
      ['area;kind;rooms', '1;Brot;1'],
      /, line 2, column "kind": expected one of the training set's 2 values \(Käse, Öl\), got "Brot"\./,
    ],
    [
      'a category that is missing',
      ['area;kind;rooms', '1;;1'],
      /, line 2, column "kind": expected a category, got an/,
    ],
    [
      'the cells of a row',
      ['area;kind;rooms', '1;Öl'],
      /, line 2: expected 3 cells as in the header, got 2\./,
    ],
    ['the delimiter', ['area,kind,rooms', '1,Öl,1'], /expected columns divided by ";", got the header/],
    ['rows', ['area;kind;rooms'], /expected rows after the header, got none/],
  ])('refuses a file in which %s is wrong, and predicts from the others', async (_, lines, message) => {
    await write(folder, 'wrong.csv', lines);
    await write(folder, 'right.csv', ['area;kind;rooms', '1;Öl;1']);
    const { status, stdout, stderr } = await predict(folder, 'wrong.csv', 'right.csv', '--json');
    expect(status).toBe(2);
    expect(stderr).toMatch(message);
    expect(stderr).toContain(join(folder, 'wrong.csv'));
    expect(stderr).toContain(
      `The file is read with the options of the training (delimiter ";", decimal ',', encoding windows-1252)`,
    );
    expect(rowsOf(stdout).map(({ file }) => file)).toEqual(['right.csv']);
  });

  it('is refused by name if its table was saved without the description of its files, or with an unknown one', async () => {
    const file = join(folder, 'run', 'model', 'preprocessing.json');
    const text = await readFile(file, 'utf8');
    const { reading, ...earlier } = JSON.parse(text) as { reading: object };
    await write(folder, 'right.csv', ['area;kind;rooms', '1;Öl;1']);
    await writeFile(file, JSON.stringify(earlier));
    const refused = await predict(folder, 'right.csv');
    expect(refused.status).toBe(2);
    expect(refused.stderr).toMatch(
      /Model in .*run: expected a description of its table's file .*, got none, since an earlier version/,
    );
    await writeFile(file, JSON.stringify({ ...earlier, reading: { ...reading, version: 2 } }));
    expect((await predict(folder, 'right.csv')).stderr).toMatch(
      /preprocessing\.json: expected the preprocessing that training saved/,
    );
    await writeFile(file, text);
    expect((await predict(folder, 'right.csv')).status).toBe(0);
  });
});

describe('a model of a table with two classes and one output', () => {
  const definition = `
import { csv, defineTraining } from 'lockstep';
export default defineTraining({
  data: csv({ train: 'train.csv', test: 'train.csv', targets: ['ill'] }),
  loss: 'binaryCrossEntropy',
  batchSize: 2,
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.dense({ inputShape: [1], units: 1 })] }),
});
`;

  it('predicts the names of the classes with the sigmoid of the output', async () => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'lockstep.config.js'), definition);
    await write(folder, 'train.csv', ['age,ill', '20,no', '40,yes']);
    const trained = await lockstep([...train, '--epochs', '1'], { cwd: folder });
    expect(trained.status, trained.stderr).toBe(0);
    await write(folder, 'new.csv', ['age,ill', '10,no', '60,?']);
    const { status, stdout, stderr } = await predict(folder, 'new.csv', '--json');
    expect([status, stderr]).toEqual([0, '']);
    // Mean 30, deviation 10.
    const logits = (await openSaved(folder)).predict(tf.tensor2d([[-2], [3]])) as tf.Tensor;
    for (const [i, logit] of [...(await logits.data())].entries()) {
      const yes = 1 / (1 + Math.exp(-logit));
      const { name, ranked } = rowsOf(stdout)[i]!.targets[0]!;
      expect(name).toBe(yes > 0.5 ? 'yes' : 'no');
      const found = Object.fromEntries(ranked!.map((one) => [one.name, one.probability]));
      expect(found['yes']).toBeCloseTo(yes, 5);
      expect(found['no']).toBeCloseTo(1 - yes, 5);
    }
    // The file states an answer for the first row, and one that no class has for the second.
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as object;
    const right = rowsOf(stdout)[0]!.targets[0]!.name === 'no' ? 1 : 0;
    expect(summary).toMatchObject({
      event: 'summary',
      target: 'ill',
      count: 2,
      metrics: { accuracy: right / 2 },
    });
  });
});
