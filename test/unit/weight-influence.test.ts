import { describe, expect, it } from 'vitest';
import { resolveConfig } from '../../src/cli/options/resolve.js';
import {
  runConfigSchema,
  type ResolvedConfig,
  type RunConfigInput,
} from '../../src/shared/config/run-config.js';
import { weightDifferences } from '../../src/shared/config/weight-influence.js';

const resolved = (change: RunConfigInput): ResolvedConfig =>
  resolveConfig(runConfigSchema.parse({ workers: 2, shards: 2, threads: 1, ...change }), {
    cores: 2,
    gpus: [],
  });

/** The fields that `lockstep diff` names for two runs that differ in `change`. */
const named = (change: RunConfigInput, both: RunConfigInput = {}): string[] =>
  weightDifferences(resolved(both), resolved({ ...both, ...change }));

describe('the fields that explain different weights', () => {
  it.each<RunConfigInput>([
    { precision: 'bfloat16' },
    { gradientDtype: 'bfloat16' },
    { optimizer: { kind: 'adam', learningRate: 0.5 } },
    { schedule: { kind: 'constant' } },
    { warmup: { steps: 5 } },
    { clipNorm: 1 },
    { loss: 'meanSquaredError' },
    { augment: [{ kind: 'flip' }] },
    { ema: { decay: 0.9 } },
    { threads: 2 },
    { engine: 'wasm' },
    { devices: 'cpu' },
    { data: '/data' },
    { seed: 2 },
    { shards: 3 },
    { batchSize: 8 },
  ])('include %o, also if a resumed run may change it', (change) => {
    expect(named(change)).toEqual(Object.keys(change));
  });

  it('leave out the number of workers, logs, timeouts and transports', () => {
    const fields = ['workers', 'name', 'audit', 'logEvery', 'peerTimeoutMs', 'bucketBytes'] as const;
    const values = [1, 'other', true, 1, 5, 64];
    for (const [i, field] of fields.entries()) expect(named({ [field]: values[i] })).toEqual([]);
    const change: RunConfigInput = { sharedMemory: 'off', collective: 'direct', checkpointEvery: '1epoch' };
    expect(named(change)).toEqual([]);
  });

  it('include the length of the run only if the learning rate depends on it', () => {
    expect(named({ epochs: 9, maxSteps: 5 })).toEqual([]);
    expect(named({ epochs: 9 }, { schedule: { kind: 'cosine' } })).toEqual(['epochs']);
    expect(named({ maxSteps: 5 }, { schedule: { kind: 'oneCycle' } })).toEqual(['maxSteps']);
  });

  it('include the evaluations only if the training depends on them', () => {
    expect(named({ evaluateEvery: '5steps', evaluate: 'test' })).toEqual([]);
    expect(named({ evaluateEvery: '5steps' }, { schedule: { kind: 'plateau' } })).toEqual(['evaluateEvery']);
    expect(named({ evaluateEvery: '5steps' }, { earlyStopping: {} })).toEqual(['evaluateEvery']);
  });
});
