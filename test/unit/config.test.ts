import { describe, expect, it } from 'vitest';
import { chooseGpus, mergeConfig, resolveConfig } from '../../src/cli/options/resolve.js';
import { ConfigError, errorCodes, fromWireError, toWireError } from '../../src/shared/errors.js';

const machine = { cores: 8, gpus: [] };

describe('the configuration', () => {
  it('prefers flags to the environment, the environment to the file, and the file to defaults', () => {
    const config = mergeConfig([
      { source: 'file', values: { epochs: 5, seed: 5, batchSize: 5 } },
      { source: 'LOCKSTEP_SEED', values: { seed: 6, batchSize: 6 } },
      { source: '--batch-size', values: { batchSize: 7 } },
    ]);
    expect(config).toMatchObject({ epochs: 5, seed: 6, batchSize: 7, logEvery: 100 });
    expect(Object.isFrozen(config)).toBe(true);
  });

  it('names every bad field in one message, with its value and its source', () => {
    const merge = () =>
      mergeConfig([
        {
          source: 'lockstep.config.ts',
          values: { epochs: 0, colour: 'red', epoch: 3, optimizer: { kind: 'adam', beta1: 2 } },
        },
        { source: '--devices', values: { devices: 'gpu' } },
      ]);
    expect(merge).toThrow(ConfigError);
    expect(merge).toThrow(/epochs: .*got 0 \(from lockstep\.config\.ts\)/);
    expect(merge).toThrow(/colour: no such field; got "red"/);
    expect(merge).toThrow(/epoch: no such field; got 3 \(from lockstep\.config\.ts\)\. Did you mean epochs/);
    expect(merge).toThrow(/optimizer\.beta1: .*got 2/);
    expect(merge).toThrow(/devices: must be auto, cpu.*got "gpu" \(from --devices\)/);
  });

  it('names fields that contradict each other', () => {
    const values = { evaluate: 'none', schedule: { kind: 'plateau' }, accumulate: 65, warmup: { epochs: 3 } };
    const merge = () => mergeConfig([{ source: 'test', values }]);
    expect(merge).toThrow(/schedule: plateau needs evaluations/);
    expect(merge).toThrow(/accumulate: expected at most the 64 samples of a batch, got 65/);
    expect(merge).toThrow(/warmup\.epochs: expected less than the 3 epochs/);
    const nesterov = { optimizer: { kind: 'sgd', nesterov: true } };
    expect(() => mergeConfig([{ source: 'test', values: nesterov }])).toThrow(
      /optimizer\.nesterov: needs|nesterov needs a momentum/,
    );
    expect(() => mergeConfig([{ source: 'test', values: { warmup: {} } }])).toThrow(/either steps or epochs/);
  });

  it('takes as many shards as workers and divides the cores among the shards', () => {
    expect(resolveConfig(mergeConfig([]), machine)).toMatchObject({ workers: 2, shards: 2, threads: 4 });
    const kept = mergeConfig([{ source: 'test', values: { workers: 1, shards: 2 } }]);
    // The thread count is part of the bits, so it may not follow the workers.
    expect(resolveConfig(kept, machine)).toMatchObject({ workers: 1, shards: 2, threads: 4 });
    const many = mergeConfig([{ source: 'test', values: { workers: 20 } }]);
    expect(resolveConfig(many, machine).threads).toBe(1);
    expect(resolveConfig(mergeConfig([]), { cores: 8, gpus: [0, 1, 2] }).workers).toBe(3);
  });

  it('assigns the GPUs that exist and refuses others', () => {
    expect(chooseGpus('auto', [0, 1])).toEqual([0, 1]);
    expect(chooseGpus('cpu', [0, 1])).toEqual([]);
    expect(chooseGpus('1', [0, 1])).toEqual([1]);
    expect(() => chooseGpus('0,2', [0, 1])).toThrow(/GPU 2 is not present; this machine has 0, 1/);
    expect(() => chooseGpus('1,1', [0, 1])).toThrow(/distinct/);
  });
});

describe('errors', () => {
  it.each(errorCodes)('%s keeps its class and message when it is sent', (code) => {
    const error = fromWireError({ code, message: 'What failed.' });
    expect(error).toMatchObject({ code, message: 'What failed.' });
    expect(toWireError(error)).toEqual({ code, message: 'What failed.' });
  });
});
