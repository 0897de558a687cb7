/** Reads exported files with Python's TensorFlow, PyTorch and safetensors. Skipped if LOCKSTEP_PYTHON lacks them. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Tensor } from '@tensorflow/tfjs';
import { expect, it } from 'vitest';
import { encodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import { exportModel } from '../../src/worker/export/export-model.js';
import { torchModules } from '../../src/worker/export/torch-layout.js';
import { drawn, scatter } from '../support/exported-model.js';
import { engineFor } from '../support/in-process.js';
import { temporaryFolder } from '../support/lockstep.js';
import { build } from './networks.js';

const run = promisify(execFile);
const script = fileURLToPath(new URL('./export_readers.py', import.meta.url));

const python = process.env['LOCKSTEP_PYTHON'] ?? 'python3';
const found = await run(python, [
  '-c',
  'import importlib.util as u; [u.find_spec(m).name for m in ("torch", "tensorflow", "safetensors")]',
]).then(
  () => true,
  () => false,
);

it.skipIf(!found)(
  `gives the same answers in Python's readers${found ? '' : ' (skipped: LOCKSTEP_PYTHON has not PyTorch, TensorFlow and safetensors)'}`,
  async () => {
    const { tf } = await engineFor('tensorflow');
    const model = build('thin', true)({ tf, seed: 1 });
    scatter(tf, model);
    const [images] = drawn(tf, [[null, 28, 28, 1]], 3) as [Tensor];
    const outputs = model.predict(images) as Tensor;
    const folder = await temporaryFolder();
    const values = (tensor: Tensor) => ({
      shape: tensor.shape,
      values: Float32Array.from(tensor.dataSync<'float32'>()),
    });
    const write = (name: string, tensors: [string, Tensor][]) =>
      writeFile(
        join(folder, name),
        encodeSafetensors(new Map(tensors.map(([key, tensor]) => [key, values(tensor)]))),
      );
    await write('case.safetensors', [
      ['images', images],
      ['outputs', outputs],
    ]);
    await write(
      'weights.safetensors',
      model.weights.map((weight) => [weight.originalName, weight.read()]),
    );
    await writeFile(
      join(folder, 'layers.json'),
      JSON.stringify(torchModules(model).map(({ layer }) => layer)),
    );
    const exports = [
      ['safetensors', 'tfjs', 'model.safetensors'],
      ['safetensors', 'pytorch', 'pytorch.safetensors'],
      ['savedmodel', 'tfjs', 'saved_model'],
    ] as const;
    for (const [format, layout, name] of exports)
      await exportModel(model, { format, layout, out: join(folder, name), version: '0.0.0' });
    const { stdout } = await run(python, [script, folder], { timeout: 240_000 });
    const distances = JSON.parse(stdout) as Record<string, number>;
    expect(Object.keys(distances).sort()).toEqual(['pytorch', 'safetensors', 'savedmodel']);
    for (const distance of Object.values(distances)) expect(distance).toBeLessThanOrEqual(1e-5);
    expect(distances['safetensors']).toBe(0);
  },
  300_000,
);
