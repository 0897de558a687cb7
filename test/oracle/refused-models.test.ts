import { beforeAll, describe, expect, it } from 'vitest';
import { OperationalError } from '../../src/shared/errors.js';
import type { Engine } from '../../src/worker/engine/engine.js';
import { engineFor } from '../support/in-process.js';
import { layersOf } from '../support/zoo/batch-norm-rule.js';
import { drawingModels } from '../support/zoo/drawing-models.js';
import { modelCases } from '../support/zoo/model-cases.js';
import { refusedModels } from '../support/zoo/refused-models.js';
import { CaseTraining, smallSize } from '../support/zoo/train-case.js';

let engine: Engine;
beforeAll(async () => {
  engine = await engineFor('wasm');
});

describe('a model that cannot be trained is refused with the name of the layer and the reason', () => {
  it.each(refusedModels.map((refused) => [refused.name, refused] as const))('%s', async (_, refused) => {
    const error: unknown = await new CaseTraining(engine, refused, smallSize)
      .alone()
      .catch((e: unknown) => e);
    expect(error).toBeInstanceOf(OperationalError);
    expect((error as OperationalError).code).toBe('MODEL');
    expect((error as Error).message).toContain(`(${refused.className})`);
    expect((error as Error).message).toMatch(refused.reason);
  });
});

/** Classes of models and inputs, and RandomWidth, which tfjs refuses to add to any model. */
const notTrained = ['InputLayer', 'Model', 'Functional', 'Sequential', 'RandomWidth'];

it('every class of tf.layers is in a model of these tests, or is refused', () => {
  const { tf } = engine;
  const classes = Object.values(tf.serialization.SerializationMap.getMap().classNameMap).flatMap(
    ([constructor]) =>
      (constructor as unknown as { prototype: unknown }).prototype instanceof tf.layers.Layer
        ? [(constructor as unknown as { className: string }).className]
        : [],
  );
  const trained = [...modelCases, ...drawingModels].flatMap(({ build }) => {
    const model = build(tf);
    const names = layersOf(model).map((layer) => layer.getClassName());
    model.dispose();
    return names;
  });
  const covered = new Set([...trained, ...refusedModels.map(({ className }) => className), ...notTrained]);
  expect(classes.filter((name) => !covered.has(name))).toEqual([]);
  expect(classes.length).toBeGreaterThan(60);
});
