import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-web';
import { describe, expect, it } from 'vitest';
import { lockstep, temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';

describe('lockstep export and import', () => {
  it("write into the run's folder only, and convert a model to PyTorch's layout and back", async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const out = join(folder, 'run');
    const args = [
      '--config',
      config,
      '--epochs',
      '1',
      '--single-process',
      '--threads',
      '1',
      '--evaluate',
      'test',
    ];
    const trained = await lockstep(['train', ...args, '--out', out, '--json']);
    expect(trained.status).toBe(0);

    const onnx = await lockstep(['export', out, '--format', 'onnx']);
    expect({ status: onnx.status, stderr: onnx.stderr }).toEqual({ status: 0, stderr: '' });
    expect(onnx.stdout).toBe(
      `${join(out, 'model.onnx')}\nInputs are pixels as (x / 255 - 0.5) / 0.5, channels last; outputs are the raw outputs of the model.\n`,
    );
    const session = await ort.InferenceSession.create(await readFile(join(out, 'model.onnx')));
    expect(session.outputNames).toHaveLength(1);

    const other = await lockstep(['export', out, '--out', folder]);
    expect(other.stderr).toMatch(/^Error \(CONFIG\): --out .*expected a new folder or an earlier export/);
    expect(other.status).toBe(2);

    // A folder with a model and other files is no export, and neither is an export of another format.
    for (const format of ['tfjs', 'savedmodel']) {
      const served = join(folder, format);
      expect((await lockstep(['export', out, '--format', format, '--out', served])).status).toBe(0);
      expect((await lockstep(['export', out, '--format', format, '--out', served])).status).toBe(0);
      const wrong = format === 'tfjs' ? 'savedmodel' : 'tfjs';
      const mixed = await lockstep(['export', out, '--format', wrong, '--out', served]);
      expect(mixed).toMatchObject({ status: 2 });
      await writeFile(join(served, 'index.html'), 'kept');
      expect(await lockstep(['export', out, '--format', format, '--out', served])).toMatchObject({
        status: 2,
      });
      expect(await readFile(join(served, 'index.html'), 'utf8')).toBe('kept');
    }

    const weights = join(folder, 'weights.safetensors');
    const toTorch = ['--format', 'safetensors', '--layout', 'pytorch', '--out', weights, '--json'];
    const exported = await lockstep(['export', out, ...toTorch]);
    expect(JSON.parse(exported.stdout)).toEqual({ event: 'export', format: 'safetensors', path: weights });
    const back = join(folder, 'back');
    const order = (await layersOf(out)).join(',');
    const imported = await lockstep(['import', weights, '--config', config, '--order', order, '--out', back]);
    expect({ status: imported.status, stderr: imported.stderr }).toEqual({ status: 0, stderr: '' });
    const { events } = await lockstep(['eval', back, '--json']);
    const { loss, correct } = trained.events.find(({ event }) => event === 'eval') as {
      loss: number;
      correct: number;
    };
    expect(events).toMatchObject([{ event: 'eval', loss, correct, count: 20 }]);
  });

  it('refuse weights of another model, and a file that contains none', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const fixture = fileURLToPath(new URL('../oracle/fixtures/torch-module.safetensors', import.meta.url));
    const other = await lockstep(['import', fixture, '--config', config, '--out', join(folder, 'x')]);
    expect(other.status).toBe(2);
    expect(other.stderr).toMatch(/^Error \(DATA\): .*expected 5 modules with weights, got 13/);
    const text = join(folder, 'text.safetensors');
    await writeFile(text, 'no weights at all');
    const none = await lockstep(['import', text, '--config', config]);
    expect(none.status).toBe(2);
    const unknown = await lockstep(['export', folder, '--format', 'pickle']);
    expect(unknown.stderr).toMatch(
      /--format.*'pickle' is invalid. Allowed choices are tfjs, safetensors, onnx, savedmodel/,
    );
    expect(unknown.status).toBe(2);
    expect(none.stderr).toMatch(/^Error \(DATA\): .*text\.safetensors: expected a header/);
  });
});

/** Names of the layers with weights, in order. */
async function layersOf(run: string): Promise<string[]> {
  const { modelTopology } = JSON.parse(await readFile(join(run, 'model', 'model.json'), 'utf8')) as {
    modelTopology: { config: { layers: { class_name: string; config: { name: string } }[] } };
  };
  return modelTopology.config.layers
    .filter(({ class_name }) => ['Conv2D', 'Dense', 'BatchNormalization'].includes(class_name))
    .map(({ config }) => config.name);
}
