import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/lockstep.js';
import { writeSmallTraining } from '../support/small-training.js';
import { expectSameBits, traceOf } from '../support/trace-of.js';

describe('the same bits', () => {
  it('are produced by 1 worker, 3 workers, and 2 over sockets, on native TensorFlow', () =>
    expectSameBits('tensorflow', [
      ['--workers', '3'],
      ['--workers', '2', '--shared-memory', 'off'],
    ]));

  it('are produced by 1 worker, 2 workers and a single process, in WebAssembly', () =>
    expectSameBits('wasm', [['--workers', '2'], ['--single-process']]));

  it('are produced over sockets for an embedding, of whose gradient most rows are zero', async () => {
    const folder = await temporaryFolder();
    const config = join(folder, 'lockstep.config.ts');
    await writeFile(
      config,
      `import { arrays, defineTraining } from 'lockstep';
      const words = Array.from({ length: 48 }, (_, i) => Array.from({ length: 5 }, (_, j) => (i * 131 + j * 977) % 3000));
      export default defineTraining({
        name: 'words',
        model: ({ tf, seed }) =>
          tf.sequential({
            layers: [
              tf.layers.embedding({ inputDim: 3000, outputDim: 16, inputLength: 5, embeddingsInitializer: tf.initializers.randomNormal({ seed }) }),
              tf.layers.flatten(),
              tf.layers.dense({ units: 3, kernelInitializer: tf.initializers.randomNormal({ seed }) }),
            ],
          }),
        data: arrays({ inputs: words, targets: words.map(([first]) => (first ?? 0) % 3), classes: 3 }),
        batchSize: 16,
        epochs: 2,
        optimizer: 'adam',
      });`,
    );
    const args = ['--config', config, '--engine', 'wasm', '--shards', '4'];
    const one = await traceOf([...args, '--single-process']);
    const two = await traceOf([...args, '--workers', '2', '--shared-memory', 'off']);
    expect(two.weightsSha256).toBe(one.weightsSha256);
  });

  it('are not produced with another seed', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = ['--config', config, '--epochs', '1', '--single-process'];
    const [one, other] = [await traceOf([...args, '--seed', '1']), await traceOf([...args, '--seed', '2'])];
    expect(other.weightsSha256).not.toBe(one.weightsSha256);
    expect(join(one.weightsSha256)).toHaveLength(64);
  });
});
