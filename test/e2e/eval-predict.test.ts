import { readFile, readdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { confusionReportSchema } from '../../src/shared/evaluation/confusion.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

type Evaluation = Extract<RunEvent, { event: 'eval' }>;
const evaluations = (events: readonly RunEvent[]): Evaluation[] =>
  events.flatMap((event) => {
    if (event.event !== 'eval') return [];
    const { split, epoch, step, loss, metrics, accuracy = 0, correct = 0, count } = event;
    return [{ event: 'eval', split, epoch, step, loss, metrics, accuracy, correct, count }];
  });

/** Returns the classes of the line of `eval --json` after checking them against its totals. */
function confusionIn([event, ...others]: readonly RunEvent[]) {
  expect(others).toEqual([]);
  const { classes, confusion, perClass, count, correct } = event as Evaluation;
  const report = confusionReportSchema.parse({ classes, confusion, perClass });
  const rows = report.confusion!;
  const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
  expect(rows.map(({ length }) => length)).toEqual(rows.map(() => rows.length));
  expect(sum(rows.flat())).toBe(count);
  expect(sum(rows.map((row, at) => row[at]!))).toBe(correct);
  expect(report.perClass.map((result) => result.count)).toEqual(rows.map(sum));
  expect(report.perClass.map((result) => result.correct)).toEqual(rows.map((row, at) => row[at]));
  return { classes: report.classes, rows };
}

const classNames = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'];

/** Trains the small model in `folder`; gives its config, its data, its run and the events. */
async function trained(folder: string) {
  const { config, data } = await writeSmallTraining(folder);
  const out = join(folder, 'run');
  const args = ['--config', config, '--epochs', '2', '--workers', '2', '--shards', '3', '--threads', '1'];
  const { status, events } = await lockstep(['train', ...args, '--out', out, '--json']);
  expect(status).toBe(0);
  return { data, out, events };
}

/** A data source in the shape of MNIST with three classes, distinguished by the position of a bar. */
const ownSource = `
import { defineTraining } from 'lockstep';

const split = (count, shift) => ({
  count,
  inputs: [{ shape: [28, 28, 1], dtype: 'float32' }],
  targets: [{ shape: [], dtype: 'int32', classes: 3 }],
  fill(indices, { inputs: [inputs], targets: [labels] }) {
    indices.forEach((index, i) => {
      labels[i] = (index + shift) % 3;
      inputs.fill(-1, i * 784, (i + 1) * 784);
      inputs.fill(1, i * 784 + labels[i] * 224 + (index % 20), i * 784 + labels[i] * 224 + 150);
    });
  },
});

export default defineTraining({
  data: {
    load: async () => ({ name: 'bars', sha256: '0'.repeat(64), train: split(200, 0), test: split(50, 1) }),
  },
  model: ({ tf }) =>
    tf.sequential({ layers: [tf.layers.flatten({ inputShape: [28, 28, 1] }), tf.layers.dense({ units: 10 })] }),
});
`;

/** A regression without classes. */
const numbersSource = `
import { defineTraining, samples } from 'lockstep';

const set = (count) => ({ count, get: (index) => ({ inputs: [[index / count, 1]], targets: [[2 * index / count]] }) });

export default defineTraining({
  data: samples({
    name: 'lines', version: '1', train: set(100), test: set(20),
    inputs: [{ shape: [2], dtype: 'float32' }], targets: [{ shape: [1], dtype: 'float32' }],
  }),
  loss: 'meanSquaredError',
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [2] })] }),
});
`;

describe('lockstep eval', () => {
  it('prints the same values as the training, for both sets, as JSON and as text', async () => {
    const { out, events } = await trained(await temporaryFolder());
    for (const split of ['test', 'train'] as const) {
      const printed = evaluations(events).findLast((event) => event.split === split)!;
      const {
        status,
        stdout,
        stderr,
        events: answer,
      } = await lockstep(['eval', out, '--split', split, '--json']);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(stdout.trim().split('\n')).toHaveLength(1);
      const { classes } = confusionIn(answer);
      expect(classes).toEqual(classNames);
      expect(evaluations(answer)).toEqual([{ ...printed, epoch: 0, step: 0 }]);
    }
    // Training events do not contain the confusion matrix.
    for (const event of events) expect(event).not.toHaveProperty('confusion');
    const { loss, correct = 0 } = evaluations(events).findLast(({ split }) => split === 'train')!;
    const { stdout } = await lockstep(['eval', out, '--split', 'train']);
    const percent = ((correct / 70) * 100).toFixed(3);
    const [line, , header, ...rows] = stdout.trimEnd().split('\n');
    expect(line).toBe(`Train set: Average loss: ${loss.toFixed(4)}, Accuracy: ${correct}/70 (${percent}%)`);
    expect(header).toMatch(/^true +0 +1 +2 +3 +4 +5 +6 +7 +8 +9 +accuracy$/);
    const cells = rows.map((row) => row.split(/ +/));
    expect(cells.map(([name]) => name)).toEqual([...classNames, 'precision']);
    const shown = cells
      .slice(0, -1)
      .map((row) => row.slice(1, -1).map((cell) => (cell === '·' ? 0 : Number(cell))));
    const { events: answer } = await lockstep(['eval', out, '--split', 'train', '--json']);
    expect(shown).toEqual(confusionIn(answer).rows);
    expect(cells.at(-1)!.at(-1)).toBe(((correct / 70) * 100).toFixed(2));
  });

  it('prints nearly the same values on the other engine, from the saved model alone', async () => {
    const { data, out, events } = await trained(await temporaryFolder());
    const printed = evaluations(events).findLast(({ split }) => split === 'test')!;
    const args = [join(out, 'model', 'model.json'), '--data', data, '--engine', 'js', '--json'];
    const { status, events: answer } = await lockstep(['eval', ...args]);
    expect(status).toBe(0);
    expect(evaluations(answer)[0]!.loss).toBeCloseTo(printed.loss, 4);
    expect(evaluations(answer)[0]).toMatchObject({ correct: printed.correct, count: 20 });
    const native = await lockstep(['eval', out, '--json']);
    expect(confusionIn(answer)).toEqual(confusionIn(native.events));
  });

  it('draws the matrix into a file, with the class names of the data, or reports at once why it cannot', async () => {
    const folder = await temporaryFolder();
    const [config, out] = [join(folder, 'bars.js'), join(folder, 'run <1>')];
    const named = "classes: 3, classNames: ['top', 'the <middle>', 'end\\u001b[2J']";
    await writeFile(config, ownSource.replace('classes: 3', named));
    const once = ['--epochs', '2', '--single-process', '--threads', '1'];
    const { status } = await lockstep(['train', '--config', config, ...once, '--out', out]);
    expect(status).toBe(0);

    const pictures = join(folder, 'pictures');
    const drawn = await lockstep(['eval', out, '--config', config, '--picture', join(pictures, 'one.svg')]);
    expect({ status: drawn.status, stderr: drawn.stderr }).toEqual({ status: 0, stderr: '' });
    expect(drawn.stdout).toMatch(/^true .*top {2}the <middle>/m);
    expect(drawn.stdout).not.toContain('\u001b');
    const svg = await readFile(join(pictures, 'one.svg'), 'utf8');
    expect(svg).toContain('>the &lt;middle&gt;</text>');
    expect(svg).toContain('>run &lt;1&gt;</text>');
    const accuracy = /Accuracy: (\d+)\/50/.exec(drawn.stdout)![1]!;
    expect(svg).toContain(`test set, accuracy ${(Number(accuracy) * 2).toFixed(2)} % (${accuracy} of 50)`);
    const args = ['eval', out, '--config', config, '--json', '--picture'];
    const again = await lockstep([...args, join(pictures, 'two.png')]);
    expect(confusionIn(again.events).classes).toEqual(['top', 'the <middle>', 'end\u001b[2J']);
    expect((await sharp(join(pictures, 'two.png')).metadata()).format).toBe('png');
    expect((await readdir(pictures)).sort()).toEqual(['one.svg', 'two.png']);

    const jpg = await lockstep([...args, 'one.jpg']);
    expect(jpg.stderr).toMatch(
      /^Error \(CONFIG\): --picture one\.jpg: expected a name that ends in \.svg or \.png/,
    );
    const nowhere = await lockstep([...args, join(config, 'one.svg')]);
    expect(nowhere.stderr).toMatch(/^Error \(CONFIG\): --picture .*expected a folder that can be written/);
    expect([jpg, nowhere].map((ended) => [ended.status, ended.stdout])).toEqual([
      [2, ''],
      [2, ''],
    ]);
  });

  it('has no matrix for a model that does not classify', async () => {
    const folder = await temporaryFolder();
    const [config, out] = [join(folder, 'lines.js'), join(folder, 'run')];
    await writeFile(config, numbersSource);
    const once = ['--epochs', '1', '--single-process', '--threads', '1'];
    expect((await lockstep(['train', '--config', config, ...once, '--out', out])).status).toBe(0);
    const { stdout } = await lockstep(['eval', out, '--config', config]);
    expect(stdout).toMatch(/^Test set: Average loss: [^\n]+\n$/);
    const { events } = await lockstep(['eval', out, '--config', config, '--json']);
    expect(events).toHaveLength(1);
    expect(events[0]).not.toHaveProperty('confusion');
    const picture = join(folder, 'one.svg');
    const refused = await lockstep(['eval', out, '--config', config, '--picture', picture]);
    expect(refused.stderr).toMatch(
      /^Error \(CONFIG\): --picture \S+one\.svg: expected a model that predicts one of several classes/,
    );
    expect([refused.status, refused.stdout]).toEqual([2, '']);
    expect(await readdir(folder)).not.toContain('one.svg');
  });

  it('reads the data source of the run, and asks for it instead of taking MNIST if the copy of the definition is gone', async () => {
    const folder = await temporaryFolder();
    const config = join(folder, 'bars.js');
    await writeFile(config, ownSource);
    const out = join(folder, 'run');
    const args = [
      '--config',
      config,
      '--epochs',
      '2',
      '--single-process',
      '--threads',
      '1',
      '--out',
      out,
      '--json',
    ];
    const { status, events } = await lockstep(['train', ...args]);
    expect(status).toBe(0);
    const printed = evaluations(events).findLast(({ split }) => split === 'test')!;

    const own = await lockstep(['eval', out, '--json']);
    expect(evaluations(own.events)).toEqual([{ ...printed, epoch: 0, step: 0 }]);
    await rename(join(out, 'definition'), join(folder, 'definition'));
    const without = await lockstep(['eval', out]);
    expect(without.stderr).toMatch(
      /^Error \(DATA\): .*expected the data that it was trained on.*got mnist.*--config/,
    );
    expect(without.status).toBe(2);
    const again = await lockstep(['eval', out, '--config', config, '--json']);
    expect(evaluations(again.events)).toEqual([{ ...printed, epoch: 0, step: 0 }]);
    // Ten answers for three classes: as many rows as there are classes that were answered.
    expect(confusionIn(again.events).classes.slice(0, 3)).toEqual(['0', '1', '2']);
  });
});

describe('lockstep predict', () => {
  it('prints one line per picture, names the pictures that it cannot read, and then exits with an error status', async () => {
    const folder = await temporaryFolder();
    const { out } = await trained(folder);
    const bar = { create: { width: 10, height: 60, channels: 4, background: '#203080' } } as const;
    const dark = join(folder, 'dark on clear.png');
    await sharp(bar).extend({ left: 40, right: 40, top: 20, bottom: 20, background: '#0000' }).toFile(dark);
    const light = join(folder, 'light.jpg');
    await sharp(bar)
      .extend({ left: 40, right: 40, top: 20, bottom: 20, background: '#fff' })
      .negate({ alpha: false })
      .toFile(light);
    const text = join(folder, 'text.png');
    await writeFile(text, 'no picture');

    const good = await lockstep(['predict', out, dark, light, '--json']);
    expect({ status: good.status, stderr: good.stderr }).toEqual({ status: 0, stderr: '' });
    const answers = good.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Answer);
    expect(answers.map(({ file }) => file)).toEqual([dark, light]);
    for (const { label, probability, ranked } of answers) {
      expect(ranked.map((entry) => entry.label).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
      expect(ranked[0]).toEqual({ label, probability });
      expect(ranked.reduce((sum, entry) => sum + entry.probability, 0)).toBeCloseTo(1, 5);
    }
    // The same bar, whatever its colours.
    expect(answers[0]!.label).toBe(answers[1]!.label);

    const mixed = await lockstep(['predict', out, text, dark]);
    expect(mixed.status).toBe(2);
    expect(mixed.stderr).toMatch(/^Error \(DATA\): .*text\.png: expected a whole image[^\n]*\n$/);
    const words = /^.*dark on clear\.png: (\d) \(\d+\.\d%; then \d \d+\.\d%, \d \d+\.\d%\)\n$/.exec(
      mixed.stdout,
    );
    expect(words?.[1]).toBe(String(answers[0]!.label));
  });
});

interface Answer {
  readonly file: string;
  readonly label: number;
  readonly probability: number;
  readonly ranked: readonly { readonly label: number; readonly probability: number }[];
}
