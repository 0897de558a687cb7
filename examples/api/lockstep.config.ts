import { defineTraining, samples } from 'lockstep';

const get = (i: number) => ({ inputs: [[Math.sin(i), Math.cos(2 * i)]], targets: [i % 3] });

/** Points that take some time to read, as from a database. */
async function* generate(indices: readonly number[]) {
  await new Promise((resolve) => setTimeout(resolve, 10));
  for (const i of indices) yield get(i);
}

/** Three classes of points, for the script beside this file. */
export default defineTraining({
  data: samples({
    name: 'points',
    version: '1',
    inputs: [{ shape: [2], dtype: 'float32' }],
    targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: { count: 480, generate },
    test: { count: 48, get },
  }),
  batchSize: 8,
  optimizer: { kind: 'adam', learningRate: 0.01 },
  schedule: { kind: 'constant' },
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [2] })] }),
});
