import { appendFile, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { DefinitionRecord } from '../../src/shared/runs/definition-record.js';
import type { RunEvent } from '../../src/shared/runs/run-events.js';
import { lockstep, temporaryFolder, type Ended } from '../support/lockstep.js';
import { tinyOptions } from '../support/tiny-training.js';

const of = <Name extends RunEvent['event']>({ events }: Pick<Ended, 'events'>, name: Name) =>
  events.filter((event): event is Extract<RunEvent, { event: Name }> => event.event === name);

/** A definition in several files: TypeScript, JSON, a symbolic link, a file outside of the project, and one that is loaded late. */
async function writeProject(folder: string): Promise<void> {
  const project = join(folder, 'project');
  await mkdir(join(project, 'parts'), { recursive: true });
  await mkdir(join(folder, 'common'));
  await mkdir(join(project, 'node_modules', 'pack'), { recursive: true });
  const files: Readonly<Record<string, string>> = {
    'project/lockstep.config.ts': `import { readFileSync } from 'node:fs';
import { defineTraining, samples } from 'lockstep';
import { offset } from 'pack';
import { pointOf } from './parts/points';
import numbers from './parts/numbers.json';
import { classes } from './linked';
// Read from the place of the original file, and from the working folder.
const beside = Number(readFileSync(new URL('./beside.txt', import.meta.url), 'utf8'));
const here = Number(readFileSync('here.txt', 'utf8'));
const get = (i: number) => ({ inputs: [pointOf(i + beside + here + offset)], targets: [i % classes] });
export default defineTraining({
  data: samples({
    name: 'points', version: '1',
    inputs: [{ shape: [2], dtype: 'float32' }], targets: [{ shape: [], dtype: 'int32', classes }],
    train: { count: numbers.count, get }, test: { count: 4, get },
  }),
  batchSize: 8, epochs: Number(process.env.EPOCHS ?? 2), loss: { compute: ({ tf, prediction, target }) =>
    tf.sum(tf.square(tf.sub(prediction, tf.oneHot(target, classes))), 1) as never },
  metrics: [],
  async model({ tf }) {
    const { units } = await import('./parts/late.js');
    return tf.sequential({ layers: [tf.layers.dense({ units, inputShape: [2] })] });
  },
});
`,
    'project/parts/points.ts':
      "import { turn } from '../../common/turn.ts';\nexport const pointOf = (i: number): number[] => [Math.sin(turn(i)), Math.cos(turn(i))];\n",
    'project/parts/numbers.json': '{ "count": 16 }',
    'project/parts/late.js': 'export const units = 3;\n',
    'project/beside.txt': '2',
    'here.txt': '1',
    'common/turn.ts': 'export const turn = (i: number): number => i * 2;\n',
    'common/classes.ts': "import { three } from './three';\nexport const classes = three;\n",
    'common/three.ts': 'export const three = 3;\n',
    'project/node_modules/pack/package.json': '{ "name": "pack", "main": "index.js" }',
    'project/node_modules/pack/index.js': 'exports.offset = 5;\n',
    'project/unused.ts': 'export const unused = 1;\n',
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  await symlink('../common/classes.ts', join(project, 'linked.ts'));
}

const train = ['train', ...tinyOptions, '--evaluate', 'test', '--config', 'project/lockstep.config.ts'];

/** A run whose folder is elsewhere, so that packages are not found from it. */
async function trained(
  env: Readonly<Record<string, string>> = {},
): Promise<{ folder: string; run: string; loss: number }> {
  const folder = await temporaryFolder();
  await writeProject(folder);
  const run = join(await temporaryFolder(), 'run');
  const ended = await lockstep([...train, '--out', run], { cwd: folder, env });
  expect(ended.status, ended.stderr).toBe(0);
  return { folder, run, loss: of(ended, 'eval').at(-1)!.loss };
}

const evaluated = async (run: string, env: Readonly<Record<string, string>> = {}) =>
  lockstep(['eval', run, '--engine', 'wasm', '--json'], { cwd: await temporaryFolder(), env });

describe('the copy of the definition in a run', () => {
  it('has the local files that it imports, and eval uses it with paths and packages of the original place', async () => {
    const { folder, run, loss } = await trained();
    const record = JSON.parse(
      await readFile(join(run, 'definition', 'definition.json'), 'utf8'),
    ) as DefinitionRecord;
    expect(record.files.map(({ name }) => name).sort()).toEqual([
      'common/classes.ts',
      'common/three.ts',
      'common/turn.ts',
      'project/lockstep.config.ts',
      'project/parts/late.js',
      'project/parts/numbers.json',
      'project/parts/points.ts',
    ]);
    expect(record.packages).toEqual(['lockstep', 'pack']);
    expect(await readFile(join(run, 'definition', 'files', 'common', 'turn.ts'))).toEqual(
      await readFile(join(folder, 'common', 'turn.ts')),
    );
    // Changes of the original do not matter any more.
    await writeFile(join(folder, 'common', 'turn.ts'), 'export const turn = (): number => 0;\n');
    await rename(join(folder, 'project', 'parts'), join(folder, 'project', 'gone'));
    const result = await evaluated(run);
    expect(result.stderr).toBe('');
    expect(of(result, 'eval')[0]).toMatchObject({ count: 4, loss });
  });

  it('warns if it evaluates to other values than in the run, and holds nothing of the environment', async () => {
    const { run, loss } = await trained({ EPOCHS: '3', SECRET_OF_THE_USER: 'do not write this down' });
    const result = await evaluated(run);
    expect(of(result, 'eval')[0]).toMatchObject({ loss });
    expect(result.stderr).toMatch(
      /Warning: The definition in .* evaluates to other values.*epochs: 3 in the run, 2 now/,
    );
    expect((await evaluated(run, { EPOCHS: '3' })).stderr).toBe('');
    const record = await readFile(join(run, 'definition', 'definition.json'), 'utf8');
    expect(record).toContain('"epochs": 3');
    expect(record).not.toContain('do not write this down');
  });

  it('is not executed if a file of it was changed, or if it is damaged', async () => {
    const { run } = await trained();
    const file = join(run, 'definition', 'files', 'common', 'turn.ts');
    await appendFile(
      file,
      "\nimport { writeFileSync } from 'node:fs';\nwriteFileSync('/tmp/executed', '');\n",
    );
    const changed = await evaluated(run);
    expect(changed.status).toBe(2);
    expect(changed.stderr).toMatch(
      /turn\.ts: expected the file of the run \(SHA-256 .*It is not executed\. Name a definition with --config/,
    );
    const recordFile = join(run, 'definition', 'definition.json');
    const record = await readFile(recordFile, 'utf8');
    await writeFile(recordFile, record.replace('"common/turn.ts"', '"../../../turn.ts"'));
    expect((await evaluated(run)).stderr).toMatch(
      /expected the record of a definition, got "files\.\d\.name" that must be a path below the folder/,
    );
  });

  it('is left out with a warning if it is too large', async () => {
    const folder = await temporaryFolder();
    await writeProject(folder);
    await writeFile(
      join(folder, 'project', 'parts', 'numbers.json'),
      `{ "count": 16, "more": "${'x'.repeat(33 * 2 ** 20)}" }`,
    );
    const ended = await lockstep([...train, '--out', 'run'], { cwd: folder });
    expect(ended.status, ended.stderr).toBe(0);
    expect(of(ended, 'warning').map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^The run keeps no copy of its definition: its files have more than 32 MiB \(.*numbers\.json has \d+ bytes\)/,
      ),
    ]);
    const result = await evaluated(join(folder, 'run'));
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(
      /expected a copy of its definition, got none: its files have more than 32 MiB.*--config/,
    );
  });
});

describe('a run that is resumed after its definition was deleted', () => {
  it('continues with its copy, on several workers and again later, to the weights of an undisturbed run', async () => {
    const folder = await temporaryFolder();
    await writeProject(folder);
    const run = join(await temporaryFolder(), 'run');
    const start = [...train, '--checkpoint-every', '1epoch', '--epochs'];
    const whole = await lockstep([...start, '4', '--out', 'whole'], { cwd: folder });
    expect((await lockstep([...start, '2', '--out', run], { cwd: folder })).status).toBe(0);
    const original = join(folder, 'project', 'lockstep.config.ts');
    for (const gone of ['project/lockstep.config.ts', 'project/parts', 'common'])
      await rm(join(folder, gone), { recursive: true });

    const resume = ['train', '--resume', run, '--workers', '2', '--json', '--epochs'];
    for (const epochs of ['3', '4']) {
      const resumed = await lockstep([...resume, epochs], { cwd: folder });
      expect(resumed.status, resumed.stderr).toBe(0);
      const warnings = of(resumed, 'warning').map(({ message }) => message);
      const line = expect.stringMatching(
        /^The definition .*lockstep\.config\.ts is gone\. .*its own copy, .*--config\.$/,
      ) as string;
      expect(warnings).toEqual([line]);
      if (epochs === '4')
        expect(of(resumed, 'done')[0]?.weightsSha256).toBe(of(whole, 'done')[0]?.weightsSha256);
    }
    const record = await readFile(join(run, 'definition', 'definition.json'), 'utf8');
    expect(JSON.parse(record)).toMatchObject({ path: original });
    // A changed copy is not executed by resume either.
    await appendFile(join(run, 'definition', 'files', 'common', 'turn.ts'), '\n');
    const changed = await lockstep([...resume, '5'], { cwd: folder });
    expect(changed.status).toBe(2);
    expect(changed.stderr).toMatch(/turn\.ts: expected the file of the run .*It is not executed/);
  });
});

describe('eval of a run with data of its own whose copy is gone', () => {
  it('names the data, not the shape of the model', async () => {
    const { run } = await trained();
    await rename(join(run, 'definition'), join(run, 'gone'));
    const result = await evaluated(run);
    expect(result.status).toBe(2);
    expect(result.stderr).toMatch(
      /Error \(DATA\): Run .*: expected the data that it was trained on .*got .*--config FILE/,
    );
  });
});
