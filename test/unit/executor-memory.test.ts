import type { LayersModel } from '@tensorflow/tfjs';
import { describe, expect, it } from 'vitest';
import type { ModelContext } from '../../src/api/define-training.js';
import { trainStep } from '../../src/worker/training/train-step.js';
import { alone, engineFor, syntheticData } from '../support/in-process.js';

const data = syntheticData(96);

describe.each(['js', 'wasm', 'tensorflow'] as const)('the executor on the engine %s', (choice) => {
  it('keeps the number of tensors flat over 500 steps', async () => {
    const engine = await engineFor(choice);
    const small = ({ tf }: ModelContext): LayersModel =>
      tf.sequential({
        layers: [
          tf.layers.flatten({ inputShape: [8, 8, 1] }),
          tf.layers.dense({ units: 16 }),
          tf.layers.batchNormalization(),
          tf.layers.reLU(),
          tf.layers.dropout({ rate: 0.5 }),
          tf.layers.dense({ units: 10, activation: 'elu' }),
        ],
      });
    const participation = await alone(engine, small, { batchSize: 32, shards: 3 }, data);
    const counts = new Set<number>();
    for (let step = 1; step <= 500; step++) {
      trainStep(participation, participation.sampler.plan(step));
      if (step > 2) counts.add(engine.tf.memory().numTensors);
    }
    expect(counts.size).toBe(1);
    expect(participation.sampler.plan(500).epoch).toBe(166);
  });
});
