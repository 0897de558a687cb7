/** Each format against its own reader: tfjs's and TensorFlow's from tfjs-node, onnxruntime's from npm. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import * as ort from 'onnxruntime-web';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeSafetensors } from '../../src/shared/checkpoint/safetensors.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import { exportModel, type ExportOptions } from '../../src/worker/export/export-model.js';
import { drawn, everyLayer, scatter } from '../support/exported-model.js';
import { engineFor } from '../support/in-process.js';
import { temporaryFolder } from '../support/lockstep.js';
import { build } from '../oracle/networks.js';

/** Compares outputs within the tolerance of exports. */
const tolerance = 1e-5;

let engine: Engine;
beforeAll(async () => {
  engine = await engineFor('tensorflow');
  ort.env.wasm.numThreads = 1;
});

interface Case {
  readonly model: LayersModel;
  readonly inputs: readonly Tensor[];
  readonly expected: readonly Float32Array[];
}

function caseOf(model: LayersModel): Case {
  const inputs = drawn(
    engine.tf,
    model.inputs.map(({ shape }) => shape),
    3,
  );
  const outputs = [model.predict(inputs.length === 1 ? inputs[0]! : [...inputs])].flat();
  return { model, inputs, expected: outputs.map((output) => output.dataSync<'float32'>()) };
}

const cases: readonly (readonly [string, () => Case])[] = [
  ['every layer that can be exported', () => caseOf(everyLayer(engine.tf))],
  [
    'the ConvNet, thin',
    () => {
      const model = build('thin', true)({ tf: engine.tf, seed: 1 });
      scatter(engine.tf, model);
      return caseOf(model);
    },
  ],
];

const options = (format: ExportOptions['format'], out: string): ExportOptions => ({
  format,
  layout: 'tfjs',
  out,
  version: '0.0.0',
});

/** Close, and not so because all are the same. */
function expectClose(got: readonly ArrayLike<number>[], expected: readonly Float32Array[]): void {
  expect(got).toHaveLength(expected.length);
  for (const [i, values] of expected.entries()) {
    expect(got[i]).toHaveLength(values.length);
    expect(new Set(values).size).toBeGreaterThan(values.length / 2);
    const distance = Math.max(...values.map((value, j) => Math.abs(value - (got[i]?.[j] ?? Number.NaN))));
    expect(distance).toBeLessThanOrEqual(tolerance);
  }
}

describe.each(cases)('%s', (_, make) => {
  it('gives the same answers in tfjs', async () => {
    const { model, inputs, expected } = make();
    const path = await exportModel(model, options('tfjs', join(await temporaryFolder(), 'out')));
    const read = await engine.tf.loadLayersModel(`file://${path}`);
    const got = [read.predict(inputs.length === 1 ? inputs[0]! : [...inputs])].flat();
    expectClose(
      got.map((tensor) => tensor.dataSync<'float32'>()),
      expected,
    );
  });

  it('gives the same answers in onnxruntime', async () => {
    const { model, inputs, expected } = make();
    const path = await exportModel(model, options('onnx', join(await temporaryFolder(), 'model.onnx')));
    const session = await ort.InferenceSession.create(await readFile(path));
    expect(session.inputNames).toEqual(model.inputNames);
    expect(session.outputNames).toEqual(model.outputNames);
    const feeds = Object.fromEntries(
      inputs.map((tensor, i) => [
        model.inputNames[i],
        new ort.Tensor('float32', tensor.dataSync<'float32'>(), tensor.shape),
      ]),
    ) as Record<string, ort.Tensor>;
    const answers = await session.run(feeds);
    expectClose(
      model.outputNames.map((name) => answers[name]?.data as Float32Array),
      expected,
    );
    await session.release();
  });

  it("gives the same answers in TensorFlow's SavedModel", async () => {
    const { model, inputs, expected } = make();
    const path = await exportModel(model, options('savedmodel', join(await temporaryFolder(), 'served')));
    const { node } = engine.tf as unknown as {
      node: {
        loadSavedModel(path: string): Promise<{
          predict(inputs: Record<string, Tensor>): Record<string, Tensor>;
          dispose(): void;
        }>;
      };
    };
    const read = await node.loadSavedModel(path);
    const named = new Map(inputs.map((tensor, i) => [model.inputNames[i] ?? '', tensor]));
    const answers = read.predict(Object.fromEntries(named));
    expectClose(
      model.outputNames.map((name) => answers[name]!.dataSync<'float32'>()),
      expected,
    );
    read.dispose();
  });

  it('keeps every weight in safetensors', async () => {
    const { model } = make();
    const path = await exportModel(
      model,
      options('safetensors', join(await temporaryFolder(), 'w.safetensors')),
    );
    const { tensors } = decodeSafetensors(await readFile(path), path);
    expect(tensors.size).toBe(model.weights.length);
    for (const weight of model.weights) {
      const kept = tensors.get(weight.originalName);
      expect(kept?.shape).toEqual(weight.shape);
      expect(kept?.values).toEqual(weight.read().dataSync());
    }
  });
});

it('names the layer that a format cannot represent, and the formats that can', async () => {
  const { tf } = engine;
  const model = tf.sequential({
    layers: [tf.layers.embedding({ inputDim: 4, outputDim: 2, inputLength: 3, name: 'words' })],
  });
  await expect(exportModel(model, options('onnx', join(await temporaryFolder(), 'm')))).rejects.toThrow(
    /ONNX: layer "words" \(Embedding\).*--format tfjs/,
  );
  const second = tf.sequential({
    layers: [tf.layers.dense({ units: 2, inputShape: [3], activation: 'hardSigmoid', name: 'gate' })],
  });
  await expect(
    exportModel(second, options('savedmodel', join(await temporaryFolder(), 'm'))),
  ).rejects.toThrow(/"gate" \(Dense\): activation "hardSigmoid"/);
});

it('reports the reason if a file cannot be written', async () => {
  const folder = await temporaryFolder();
  await writeFile(join(folder, 'file'), '');
  const { tf } = engine;
  const model = tf.sequential({ layers: [tf.layers.dense({ units: 1, inputShape: [1] })] });
  await expect(exportModel(model, options('onnx', join(folder, 'file', 'm.onnx')))).rejects.toMatchObject({
    code: 'CHECKPOINT',
  });
});
