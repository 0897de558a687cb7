import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../support/lockstep.js';
import { writeSmallMnist } from '../support/small-mnist.js';
import { writeSmallTraining } from '../support/small-training.js';
import { expectSameBits, traceOf } from '../support/trace-of.js';

describe('the same bits', () => {
  it('are produced by 2 workers and a single process, on native TensorFlow', () =>
    expectSameBits('tensorflow', [['--workers', '2'], ['--single-process']]));

  it('are produced by 3 workers, 5 workers, and 2 over sockets, in WebAssembly', () =>
    expectSameBits('wasm', [
      ['--workers', '3'],
      ['--workers', '5'],
      ['--workers', '2', '--shared-memory', 'off'],
    ]));

  it('are produced in bfloat16 too, and differ from those in float32', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder, { count: 70 });
    const common = ['--config', config, '--shards', '3', '--epochs', '10'];
    const one = await traceOf([...common, '--precision', 'bfloat16', '--workers', '1']);
    const two = await traceOf([...common, '--precision', 'bfloat16', '--workers', '2']);
    expect(two).toEqual(one);
    const full = await traceOf([...common, '--workers', '2']);
    expect(full.losses[0]).not.toBe(one.losses[0]);
    expect(Math.abs((full.losses[0] ?? 0) / (one.losses[0] ?? 0) - 1)).toBeLessThan(0.02);
  });

  it('are produced for the ConvNet with every number of workers, also across the ends of epochs', async () => {
    const data = await temporaryFolder();
    // 130 = 60 + 60 + 10: each epoch ends with a batch that has a sample or two for each of the 8 shards.
    await writeSmallMnist(data, 130);
    const fixed = ['--data', data, '--shards', '8', '--batch-size', '60', '--seed', '7', '--epochs', '2'];
    const one = await traceOf([...fixed, '--workers', '1']);
    expect(one.losses).toHaveLength(6);
    expect(one.evaluations).toHaveLength(3);
    for (const place of [
      ...[2, 3, 5, 7, 8].map((workers) => ['--workers', String(workers)]),
      ['--workers', '4', '--shared-memory', 'off'],
      ['--single-process'],
    ]) {
      expect(await traceOf([...fixed, ...place]), place.join(' ')).toEqual(one);
    }
    const wasm = [...fixed, '--engine', 'wasm'];
    expect(await traceOf([...wasm, '--workers', '5'])).toEqual(await traceOf([...wasm, '--workers', '2']));
  });
});
