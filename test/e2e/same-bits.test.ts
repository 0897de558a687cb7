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

  it('are not produced with another seed', async () => {
    const folder = await temporaryFolder();
    const { config } = await writeSmallTraining(folder);
    const args = ['--config', config, '--epochs', '1', '--single-process'];
    const [one, other] = [await traceOf([...args, '--seed', '1']), await traceOf([...args, '--seed', '2'])];
    expect(other.weightsSha256).not.toBe(one.weightsSha256);
    expect(join(one.weightsSha256)).toHaveLength(64);
  });
});
