/** A project whose training takes milliseconds per step, or longer, so that it can be disturbed in the middle. */
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from './docs-commands.js';
import { lockstep } from './lockstep.js';

/** Steps of the training. PACE is the time per batch in milliseconds, which does not change the result. */
export const steps = 60;

const definition = `import { defineTraining, samples } from 'lockstep';
const pause = Number(process.env.PACE ?? 0);
const get = (i) => ({ inputs: [[Math.sin(i), Math.cos(i * 2)]], targets: [i % 3] });
async function* generate(indices) {
  await new Promise((resolve) => setTimeout(resolve, pause));
  for (const i of indices) yield get(i);
}
export default defineTraining({
  data: samples({
    name: 'points', version: '1',
    inputs: [{ shape: [2], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: { count: 36, generate }, test: { count: 4, get },
  }),
  batchSize: 12, epochs: 1000, maxSteps: ${steps}, evaluate: 'none', threads: 1, engine: 'wasm',
  model: ({ tf }) => tf.sequential({ layers: [
    tf.layers.dense({ units: 16, inputShape: [2] }), tf.layers.batchNormalization(), tf.layers.reLU(),
    tf.layers.dropout({ rate: 0.3 }), tf.layers.dense({ units: 3 })] }),
});
`;

/** Writes a project in which Lockstep is installed, as the guide expects it. */
export async function writeProject(folder: string): Promise<void> {
  const programs = join(folder, 'node_modules', '.bin');
  await mkdir(programs, { recursive: true });
  await symlink(root, join(folder, 'node_modules', 'lockstep'));
  const program = join(programs, 'lockstep');
  await writeFile(program, `#!/bin/sh\nexec '${process.execPath}' '${root}dist/cli/main.js' "$@"\n`);
  await chmod(program, 0o755);
  await writeFile(join(folder, 'lockstep.config.js'), definition);
}

/** Returns the hash of the weights of a run in one process. */
export async function trainAlone(
  project: string,
  options: readonly string[] = ['--shards', '6'],
): Promise<string> {
  const out = join('runs', `alone-${options.join('-')}`);
  const args = ['train', '--single-process', ...options, '--out', out, '--json'];
  const { status, stderr, events } = await lockstep(args, { cwd: project });
  const done = events.find((event) => event.event === 'done');
  if (status !== 0 || done === undefined)
    throw new Error(`A run in one process: status ${status}: ${stderr}`);
  return done.weightsSha256;
}
