/** A training of 8 steps on 16 computed samples that takes milliseconds, for tests of what surrounds a training. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Lockstep } from './lockstep.js';

/** Options of a small and quick run. */
export const tinyOptions = [
  '--engine',
  'wasm',
  '--single-process',
  '--shards',
  '2',
  '--evaluate',
  'none',
  '--json',
];

/**
 * Writes `lockstep.config.js`, whose values may be changed through environment variables: RATE, EPOCHS, BATCH, N (samples), VERSION
 * of the data, and PACE (milliseconds per batch).
 * @param extra more fields of the definition
 */
export async function writeTinyTraining(folder: string, extra = ''): Promise<string> {
  const config = join(folder, 'lockstep.config.js');
  await writeFile(
    config,
    `import { defineTraining, samples } from 'lockstep';
const E = process.env;
const get = (i) => ({ inputs: [[Math.sin(i), Math.cos(i * 2)]], targets: [i % 3] });
async function* generate(indices) {
  await new Promise((resolve) => setTimeout(resolve, Number(E.PACE ?? 0)));
  for (const i of indices) yield get(i);
}
export default defineTraining({
  data: samples({
    name: 'points', version: E.VERSION ?? '1',
    inputs: [{ shape: [2], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: { count: Number(E.N ?? 16), generate }, test: { count: 4, get },
  }),
  batchSize: Number(E.BATCH ?? 8), epochs: Number(E.EPOCHS ?? 4), checkpointEvery: '1steps', schedule: { kind: 'constant' },
  optimizer: { kind: 'adam', learningRate: Number(E.RATE ?? 0.01) },
  model: ({ tf }) => tf.sequential({ layers: [tf.layers.dense({ units: 3, inputShape: [2] })] }),
  ${extra}
});
`,
  );
  return config;
}

/** Trains slowly until the event is emitted, then kills the process. */
export async function killedAfter(
  event: 'step' | 'checkpoint',
  step: number,
  args: readonly string[],
  cwd: string,
): Promise<void> {
  const run = new Lockstep(args, { cwd, env: { PACE: '400' } });
  await run.event(event, (one) => one.step >= step);
  run.kill('SIGKILL');
  await run.ended;
}
