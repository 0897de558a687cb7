/** PyTorch's weights in tfjs, against PyTorch's own answers; the fixtures are test/oracle/torch_module.py's. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { decodeSafetensors, type Safetensors } from '../../src/shared/checkpoint/safetensors.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import { torchModules, toTorch } from '../../src/worker/export/torch-layout.js';
import { assignTorchWeights, pairModules } from '../../src/worker/import/torch-weights.js';
import { engineFor } from '../support/in-process.js';
import { build } from '../oracle/networks.js';

const file = fileURLToPath(new URL('../oracle/fixtures/torch-module.safetensors', import.meta.url));
const answersFile = file.replace('module', 'module-answers');

let engine: Engine;
let weights: Safetensors;
beforeAll(async () => {
  engine = await engineFor('tensorflow');
  weights = decodeSafetensors(await readFile(file), file);
});

const thin = (): LayersModel => build('thin', true)({ tf: engine.tf, seed: 1 });

/** The state dict with `change` made to it. */
function changed(
  change: (
    tensors: Map<string, Safetensors['tensors'] extends ReadonlyMap<string, infer T> ? T : never>,
  ) => void,
): Safetensors {
  const tensors = new Map(weights.tensors);
  change(tensors);
  return { ...weights, tensors };
}

describe("PyTorch's weights", () => {
  it('give the same predictions as in PyTorch, although their names sort the classifier first', async () => {
    const model = thin();
    const pairing = assignTorchWeights(engine.tf, weights, pairModules(weights, model, file, undefined));
    expect(pairing[0]?.module).toBe('features.0');
    expect(pairing.at(-1)?.module).toBe('classifier.9');
    const { tensors } = decodeSafetensors(await readFile(answersFile), answersFile);
    const [images, logits] = ['images', 'logits'].map((name) => tensors.get(name)!);
    const got = (
      model.predict(engine.tf.tensor(images!.values, [...images!.shape])) as Tensor
    ).dataSync<'float32'>();
    const expected = logits!.values as Float32Array;
    const distance = Math.max(...expected.map((value, i) => Math.abs(value - got[i]!)));
    expect(distance).toBeLessThanOrEqual(1e-5);
    expect(Math.max(...expected.map(Math.abs))).toBeGreaterThan(0.1);
  });

  it('are exported and imported bit for bit', () => {
    const model = thin();
    const pairs = pairModules(weights, model, file, undefined);
    assignTorchWeights(engine.tf, weights, pairs);
    for (const [module, name] of pairs) {
      const again = torchModules(model).find(({ layer }) => layer === module.layer);
      for (const tensor of again!.tensors)
        expect(toTorch(tensor)).toEqual(weights.tensors.get(`${name}.${tensor.part}`)?.values);
    }
  });

  it('are refused if one is missing, superfluous or of another shape', () => {
    const model = thin();
    const without = changed((tensors) => tensors.delete('features.3.bias'));
    expect(() => pairModules(without, model, 'w', undefined)).toThrow(/expected "features.3.bias".*got none/);
    const more = changed((tensors) =>
      tensors.set('head.weight', { shape: [1], values: new Float32Array(1) }),
    );
    expect(() => pairModules(more, model, 'w', undefined)).toThrow(/expected 13 modules.*got 14/);
    const shape = changed((tensors) =>
      tensors.set('features.3.weight', { shape: [16, 16, 3, 1], values: new Float32Array(768) }),
    );
    expect(() => pairModules(shape, model, 'w', undefined)).toThrow(/\[16,16,3,3\].*got \[16,16,3,1\]/);
    expect(() => pairModules(weights, model, 'w', ['classifier', 'features'])).toThrow(
      /expected "classifier/,
    );
  });

  it('require an explicit order if two orders fit', () => {
    const { tf } = engine;
    const dense = () => tf.layers.dense({ units: 3, inputShape: [3] });
    const model = tf.sequential({ layers: [dense(), dense()] });
    const square = { shape: [3, 3], values: new Float32Array(9) };
    const bias = { shape: [3], values: new Float32Array(3) };
    const tensors = new Map(
      ['a', 'b'].flatMap((name) => [
        [`${name}.weight`, square],
        [`${name}.bias`, bias],
      ]),
    ) as Safetensors['tensors'];
    const both = { tensors, metadata: {} };
    expect(() => pairModules(both, model, 'w', undefined)).toThrow(/expected one order.*got 2.*--order a,b/);
    expect([...pairModules(both, model, 'w', ['b', 'a']).values()]).toEqual(['b', 'a']);
  });
});
