import { readFileSync, readdirSync } from 'node:fs';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.js';
import { Lockstep, lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const changedModule = 'dist/worker/optimizer/evaluation-decisions.js';
/** The bundle that contains the module. */
const changedFile = bundleOf(changedModule);

function bundleOf(module: string): string {
  const folder = 'dist/processes';
  const found = readdirSync(join(root, folder)).find((name) =>
    readFileSync(join(root, folder, name), 'utf8').includes(`\n// ${module}\n`),
  );
  if (found === undefined) throw new Error(`${module}: expected it in a bundle of ${folder}, got none`);
  return `${folder}/${found}`;
}

/** Writes a training of 8 samples whose model is in a second file. */
async function writeTraining(folder: string): Promise<string> {
  await writeFile(
    join(folder, 'network.js'),
    `export const rate = Number(process.env.DROPOUT ?? 0.25);
export const model = ({ tf }) => tf.sequential({ layers: [
  tf.layers.dense({ units: 4, inputShape: [2] }),
  tf.layers.dropout({ name: 'drop', rate }),
  tf.layers.dense({ units: 3 }),
] });
`,
  );
  const config = join(folder, 'lockstep.config.js');
  await writeFile(
    config,
    `import { defineTraining, samples } from 'lockstep';
import { model } from './network.js';
const get = (i) => ({ inputs: [[Math.sin(i), Math.cos(i * 2)]], targets: [i % 3] });
async function* generate(indices) {
  await new Promise((resolve) => setTimeout(resolve, Number(process.env.PACE ?? 0)));
  for (const i of indices) yield get(i);
}
export default defineTraining({
  data: samples({
    name: 'points', version: '1',
    inputs: [{ shape: [2], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes: 3 }],
    train: { count: 8, generate }, test: { count: 4, get },
  }),
  batchSize: 8, epochs: 4, checkpointEvery: '1steps', engine: 'wasm', shards: 2, threads: 1, evaluate: 'none',
  optimizer: { kind: 'adam', learningRate: Number(process.env.RATE ?? 0.01) },
  model,
});
`,
  );
  return config;
}

/** A copy of the built package in which one constant of one file is different; returns the path of its command. */
async function otherBuild(folder: string): Promise<string> {
  const copy = join(folder, 'other-build');
  await mkdir(copy);
  await cp(join(root, 'dist'), join(copy, 'dist'), { recursive: true });
  for (const name of ['node_modules', 'native', 'proto', 'vendor', 'package.json', 'web'])
    await symlink(join(root, name), join(copy, name)).catch(() => undefined);
  const file = join(copy, changedFile);
  const before = await readFile(file, 'utf8');
  const start = before.indexOf(`// ${changedModule}\n`);
  const after = before.slice(0, start) + before.slice(start).replace(/1e-8/, '1.001e-8');
  expect(after).not.toBe(before);
  await writeFile(file, after);
  return join(copy, 'dist', 'cli', 'main.js');
}

interface Meeting {
  readonly coordinator: Ended;
  readonly workers: readonly Ended[];
}

/** Options and environment of one worker. */
type Start = NonNullable<ConstructorParameters<typeof Lockstep>[1]>;

async function meet(
  config: string,
  starts: readonly Start[],
  { options = [], onListening }: { options?: readonly string[]; onListening?: () => Promise<void> } = {},
): Promise<Meeting> {
  const endpoint = `tcp://127.0.0.1:${await freePort()}`;
  const out = join(config, '..', 'run');
  const common = ['--config', config, '--listen', endpoint, '--out', out, '--json'];
  const coordinator = new Lockstep([
    'coordinator',
    ...common,
    '--workers',
    String(starts.length),
    ...options,
  ]);
  await coordinator.event('run');
  await onListening?.();
  const workers = starts.map((start) =>
    lockstep(['worker', '--coordinator', endpoint, '--config', config], start),
  );
  return { coordinator: await coordinator.ended, workers: await Promise.all(workers) };
}

const messages = ({ events }: Pick<Ended, 'events'>, kind: 'warning' | 'error'): string[] =>
  events.flatMap((event) => (event.event === kind ? [event.message] : []));

describe('a worker that runs another build of Lockstep', () => {
  it('is refused by the name of the file that differs, with and without another worker', async () => {
    const folder = await temporaryFolder();
    const config = await writeTraining(folder);
    const command = await otherBuild(folder);
    for (const starts of [[{ command }], [{}, { command }]]) {
      const { coordinator, workers } = await meet(config, starts);
      expect(coordinator.status).toBe(2);
      const [error = ''] = messages(coordinator, 'error');
      expect(error).toContain(`Workers run different code of Lockstep: ${changedFile}: expected`);
      expect(error).toContain('--on-mismatch warn');
      expect(workers.map(({ status }) => status)).toEqual(starts.map(() => 2));
    }
  });

  it('is accepted with a warning with --on-mismatch warn, and a resume by the first build warns too', async () => {
    const folder = await temporaryFolder();
    const config = await writeTraining(folder);
    const command = await otherBuild(folder);
    const { coordinator } = await meet(config, [{ command }], { options: ['--on-mismatch', 'warn'] });
    expect(coordinator.status).toBe(0);
    expect(messages(coordinator, 'warning')).toEqual([expect.stringContaining(changedFile)]);
    const resumed = await lockstep(
      ['train', '--single-process', '--resume', join(folder, 'run'), '--epochs', '5', '--json'],
      { cwd: folder },
    );
    expect(resumed.status, resumed.stderr).toBe(0);
    expect(messages(resumed, 'warning')).toEqual([
      expect.stringContaining(`was written by other code of Lockstep: ${changedFile}: `),
    ]);
  });
});

describe('a worker whose definition consists of other files or evaluates to another model', () => {
  it('is refused by the name of an imported file that differs, before it is executed', async () => {
    const folder = await temporaryFolder();
    const config = await writeTraining(folder);
    const file = join(folder, 'network.js');
    const { coordinator, workers } = await meet(config, [{}], {
      onListening: async () => {
        const text = await readFile(file, 'utf8');
        await writeFile(file, `process.stdout.write('EXECUTED');\n${text.replace('0.25', '0.251')}`);
      },
    });
    expect(coordinator.status).toBe(2);
    expect(messages(coordinator, 'error')).toEqual([
      expect.stringContaining(`its import ${file}: expected the coordinator's`),
    ]);
    expect(workers[0]?.stdout).not.toContain('EXECUTED');
  });

  it('is refused by the name of a layer that differs through an environment variable', async () => {
    const folder = await temporaryFolder();
    const config = await writeTraining(folder);
    const { coordinator } = await meet(config, [{}, { env: { DROPOUT: '0.251' } }]);
    expect(coordinator.status).toBe(2);
    expect(messages(coordinator, 'error')).toEqual([
      expect.stringContaining('The definition evaluates to another layer "drop" (Dropout): expected'),
    ]);
  });

  it('is warned about by the name of a value that the coordinator replaces', async () => {
    const folder = await temporaryFolder();
    const config = await writeTraining(folder);
    const { coordinator } = await meet(config, [{ env: { RATE: '0.02' } }]);
    expect(coordinator.status).toBe(0);
    expect(messages(coordinator, 'warning')).toEqual([
      expect.stringMatching(
        /another value of optimizer: expected .*0\.01.*, got .*0\.02.* from .*coordinator's value/i,
      ),
    ]);
  });

  it('does not replace a worker after an imported file was edited in mid-run; the weights stay the same', async () => {
    const folder = await temporaryFolder();
    const config = await writeTraining(folder);
    const file = join(folder, 'network.js');
    const train = ['train', '--config', config, '--json', '--out'];
    const steps = 600;
    const whole = await lockstep([
      ...train,
      join(folder, 'whole'),
      '--single-process',
      '--epochs',
      String(steps),
    ]);
    const run = new Lockstep([...train, join(folder, 'run'), '--workers', '2', '--epochs', '1000000'], {
      env: { PACE: '100' },
    });
    await run.event('step', ({ step }) => step >= 2);
    await writeFile(file, (await readFile(file, 'utf8')).replace('0.25', '0.251'));
    const { pid } = await run.event('worker', ({ state, rank }) => state === 'joined' && rank === 1);
    process.kill(pid, 'SIGKILL');
    const refused = `its import ${file}: expected the coordinator's`;
    await run.event('worker', ({ state, reason }) => state === 'lost' && reason?.includes(refused) === true);
    const { step: reached } = run.events.findLast((event) => event.event === 'step')!;
    await run.event('step', ({ step }) => step > reached);
    run.kill('SIGINT');
    expect((await run.ended).status).toBe(130);
    const losses = ({ events }: Pick<Ended, 'events'>): number[] =>
      events.flatMap((event) => (event.event === 'step' && event.step <= steps ? [event.loss] : []));
    expect(losses(run).length).toBeGreaterThan(2);
    expect(losses(run)).toEqual(losses(whole).slice(0, losses(run).length));
  });
});
