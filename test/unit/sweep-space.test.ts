import { describe, expect, it } from 'vitest';
import { trialsOf, type SweepSpace } from '../../src/cli/sweep/space.js';

const space = (values: Partial<SweepSpace>): SweepSpace => ({
  grid: [],
  random: [],
  trials: 1,
  seed: 1,
  ...values,
});

describe('the runs of a sweep', () => {
  it('are all combinations of a grid, the last field fastest', () => {
    const grid = ['batchSize=32,64', 'metrics=["accuracy","f1"],[]', 'optimizer.kind=sgd,adam'];
    const trials = trialsOf(space({ grid }));
    expect(trials).toHaveLength(8);
    expect(trials.slice(0, 3)).toEqual([
      { batchSize: '32', metrics: '["accuracy","f1"]', 'optimizer.kind': 'sgd' },
      { batchSize: '32', metrics: '["accuracy","f1"]', 'optimizer.kind': 'adam' },
      { batchSize: '32', metrics: '[]', 'optimizer.kind': 'sgd' },
    ]);
    expect(new Set(trials.map((trial) => JSON.stringify(trial))).size).toBe(8);
  });

  it('are draws that depend on the seed only, spread over the whole range', () => {
    const random = [
      'optimizer.learningRate=log:1e-4..1',
      'epochs=int:1..3',
      'optimizer.beta1=0.5..0.9',
      'batchSize=8,16',
    ];
    const trials = trialsOf(space({ random, trials: 1000 }));
    expect(trialsOf(space({ random, trials: 1000 }))).toEqual(trials);
    expect(trialsOf(space({ random, trials: 1000, seed: 2 }))).not.toEqual(trials);
    // The first draws do not depend on the number of draws.
    expect(trialsOf(space({ random, trials: 10 }))).toEqual(trials.slice(0, 10));
    const numbers = (field: string): number[] => trials.map((trial) => Number(trial[field]));
    const share = (field: string, test: (value: number) => boolean): number =>
      numbers(field).filter(test).length / 1000;
    // A quarter of a logarithmic range of four decades is one decade; 0.05 is more than three standard deviations.
    for (const low of [1e-4, 1e-3, 1e-2, 1e-1])
      expect(
        Math.abs(share('optimizer.learningRate', (rate) => rate >= low && rate < 10 * low) - 0.25),
      ).toBeLessThan(0.05);
    for (const epochs of [1, 2, 3])
      expect(Math.abs(share('epochs', (n) => n === epochs) - 1 / 3)).toBeLessThan(0.05);
    expect(Math.abs(share('optimizer.beta1', (beta) => beta < 0.7) - 0.5)).toBeLessThan(0.05);
    expect(Math.abs(share('batchSize', (size) => size === 8) - 0.5)).toBeLessThan(0.05);
  });

  it.each<[Partial<SweepSpace>, RegExp]>([
    [{}, /expected --grid or --random with a field/],
    [{ grid: ['batchSize'] }, /expected field=values, got "batchSize"/],
    [{ grid: ['batchSize=32,many'] }, /--set batchSize: expected a number, got "many"/],
    [{ grid: ['batchsize=32'] }, /Did you mean batchSize\?/],
    [{ grid: ['epochs=1'], random: ['epochs=2'] }, /each field once, got epochs twice/],
    [{ grid: ['epochs=1,2'], trials: 3 }, /--trials 3: expected --random/],
    [{ random: ['optimizer.learningRate=log:0..1'] }, /low < high \(above 0 with log:/],
    [{ random: ['epochs=int:3..1'] }, /expected low..high/],
    [{ grid: ['seed=1,2'], random: ['epochs=int:1..9'], trials: 6000 }, /at most 10000 runs, got 12000/],
  ])('are refused for %j', (values, message) => {
    expect(() => trialsOf(space(values))).toThrow(message);
  });
});
