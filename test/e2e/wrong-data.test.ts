import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { lockstep, temporaryFolder } from '../support/lockstep.js';

const definition = `
import { defineTraining, samples } from 'lockstep';
const get = (i) => ({ inputs: [[Math.sin(i), Math.cos(i)]], targets: [i === 13 ? 3 : i % 3] });
const set = { count: 16, get };
export default defineTraining({
  data: samples({
    name: 'points',
    version: '1',
    inputs: [{ shape: [2], dtype: 'float32' }],
    targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: set,
    test: set,
  }),
  batchSize: 4,
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [2] })] }),
});
`;

it.each([['--single-process'], ['--workers', '2', '--shards', '2']])(
  'a wrong label ends a run before its first step, with %s',
  async (...processes) => {
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'lockstep.config.js'), definition);
    const { status, stderr, events } = await lockstep(
      ['train', '--engine', 'wasm', '--seed', '1', '--out', 'run', '--json', ...processes],
      { cwd: folder },
    );
    expect(status).not.toBe(0);
    expect(stderr + JSON.stringify(events)).toContain(
      'points, training sample 13, target: expected a class number from 0 to 2, got 3. ' +
        'Class numbers start at 0: subtract 1 from each, or raise `classes`.',
    );
    expect(events.filter(({ event }) => event === 'step')).toEqual([]);
  },
);
