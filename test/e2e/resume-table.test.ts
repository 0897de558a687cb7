import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

const readJson = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, 'utf8'));

const rows = (names: readonly string[], offset = 0): string =>
  names.map((name, i) => `${i + offset},${name}`).join('\n');

it('keeps the class numbers and the normalization of a table with other rows, and refuses an unseen class', async () => {
  const cwd = await temporaryFolder();
  await writeFile(
    join(cwd, 'lockstep.config.js'),
    `import { csv, defineTraining } from 'lockstep';
export default defineTraining({
  data: csv({ train: 'train.csv', test: 'test.csv', targets: ['animal'] }),
  batchSize: 3, epochs: 2, checkpointEvery: '1epoch',
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [1] })] }),
});
`,
  );
  const table = (name: string, text: string) => writeFile(join(cwd, name), `size,animal\n${text}\n`);
  await table('train.csv', rows(['ant', 'bee', 'cat', 'ant', 'bee', 'cat']));
  await table('test.csv', rows(['cat', 'ant']));
  const options = ['--engine', 'wasm', '--single-process', '--shards', '2', '--json'];
  expect((await lockstep(['train', ...options, '--out', 'run'], { cwd })).status).toBe(0);

  // Without "ant", the classes found in these rows alone would be bee = 0 and cat = 1.
  await table('train.csv', rows(['cat', 'bee', 'cat', 'bee'], 50));
  const more = ['train', '--resume', 'run', '--epochs', '3', '--allow-other-data', ...options];
  const resumed = await lockstep([...more, '--out', 'more'], { cwd });
  expect(resumed.status, resumed.stderr).toBe(0);
  const columns = [
    { kind: 'number', name: 'size', mean: 2.5, deviation: Math.sqrt(35 / 12), fill: null },
    { kind: 'category', name: 'animal', values: ['ant', 'bee', 'cat'], fill: null },
  ];
  const saved = await readJson(join(cwd, 'more', 'model', 'preprocessing.json'));
  const reading = { inputs: [['size']], targets: ['animal'], delimiter: ',', decimal: '.', encoding: null };
  expect(saved).toEqual({
    kind: 'table',
    columns,
    reading: { version: 1, ...reading, categories: [], dropRow: [] },
  });

  await table('train.csv', rows(['cat', 'dog']));
  const refused = await lockstep([...more, '--out', 'other'], { cwd });
  expect(refused.status).toBe(2);
  expect(refused.events.find(({ event }) => event === 'error')).toMatchObject({
    code: 'DATA',
    message: expect.stringMatching(
      /train\.csv, line 3, column "animal": .*3 values \(ant, bee, cat\), got "dog"/,
    ) as string,
  });
});
