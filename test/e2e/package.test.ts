/**
 * The package as npm packs it: what is in it, whether publint and arethetypeswrong find anything, and whether it trains and compiles in
 * a folder of its own. Its dependencies are the repository's, linked; `npm run verify:package` installs them for real.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const bin = (name: string): string => join(root, 'node_modules', '.bin', name);

let folder: string;
let tarball: string;
const packed = (): string => join(folder, 'node_modules', 'lockstep');

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lockstep-package-'));
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], { cwd: root });
  const [{ filename } = { filename: '' }] = JSON.parse(stdout) as { filename: string }[];
  tarball = join(folder, filename);
  await mkdir(packed(), { recursive: true });
  await run('tar', ['xzf', tarball, '--strip-components=1', '-C', packed()]);
  // Everything but the package itself and what it bundles, as npm would lay it.
  for (const name of await readdir(join(root, 'node_modules'))) {
    if (name.startsWith('.') || name === '@tensorflow' || name === '@mapbox') continue;
    await symlink(join(root, 'node_modules', name), join(folder, 'node_modules', name));
  }
  const tensorflow = join(root, 'node_modules', '@tensorflow');
  await mkdir(join(folder, 'node_modules', '@tensorflow'));
  for (const name of await readdir(tensorflow)) {
    if (name !== 'tfjs-node-gpu')
      await symlink(join(tensorflow, name), join(folder, 'node_modules', '@tensorflow', name));
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the package', () => {
  it('contains tfjs-node-gpu without its install script', async () => {
    const { dependencies, peerDependenciesMeta } = JSON.parse(
      await readFile(join(packed(), 'package.json'), 'utf8'),
    ) as Record<string, Record<string, unknown>>;
    expect(dependencies).not.toHaveProperty(['@tensorflow/tfjs-node-gpu']);
    expect(peerDependenciesMeta).toHaveProperty(['@tensorflow/tfjs-node-gpu'], { optional: true });
    const engine = join(packed(), 'vendor', 'tfjs-node-gpu');
    expect((await readdir(engine)).sort()).toEqual(['LICENSE', 'binding', 'dist', 'package.json']);
    const manifest = JSON.parse(await readFile(join(engine, 'package.json'), 'utf8')) as object;
    expect(manifest).toMatchObject({ name: '@tensorflow/tfjs-node-gpu', version: '4.22.0' });
    expect(manifest).not.toHaveProperty('scripts');
    for (const file of ['LICENSE', 'README.md', 'CHANGELOG.md', 'native/product_ops.cc', 'proto/onnx.proto'])
      await expect(readFile(join(packed(), file))).resolves.not.toHaveLength(0);
  });

  it('satisfies publint', async () => {
    const { messages } = await publint({ pkgDir: packed(), strict: true, pack: false });
    expect(messages).toEqual([]);
  });

  it('satisfies arethetypeswrong, as a package of ES modules', async () => {
    // Its exit status is not 0 when it finds a problem of the profile.
    const options = ['--profile', 'esm-only', '--format', 'ascii', '--no-color', '--no-emoji'];
    const { stdout } = await run(bin('attw'), [tarball, ...options]);
    expect(stdout).toMatch(/node16 \(from ESM\)/);
  });

  it('trains from a folder of its own, with native TensorFlow', async () => {
    const args = [
      'train',
      '--max-steps',
      '2',
      '--batch-size',
      '16',
      '--evaluate',
      'none',
      '--json',
      '--out',
      'run',
    ];
    const { stdout } = await run(process.execPath, [join(packed(), 'dist', 'cli', 'main.js'), ...args], {
      cwd: folder,
      env: { ...process.env, LOCKSTEP_ENGINE: 'tensorflow' },
    });
    expect(stdout).toMatch(/"event":"done","steps":2,/);
    expect(await readdir(join(folder, 'run', 'model'))).toEqual(['model.json', 'weights.bin']);
  });

  it('has types that a TypeScript project compiles, and that refuse a wrong field', async () => {
    await writeFile(join(folder, 'package.json'), '{"type":"module","private":true}');
    await writeFile(
      join(folder, 'training.ts'),
      `import { defineTraining, type TrainingDefinition } from 'lockstep';
const model = ({ tf }: Parameters<TrainingDefinition['model']>[0]) =>
  tf.sequential({ layers: [tf.layers.dense({ units: 10, inputShape: [4] })] });
export const training: TrainingDefinition = defineTraining({ batchSize: 32, model });
// @ts-expect-error: no such field
defineTraining({ batchSise: 32, model });
`,
    );
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--skipLibCheck'];
    await run(bin('tsc'), [...options, '--types', 'node', 'training.ts'], { cwd: folder });
  });
});
