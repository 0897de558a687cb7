import { describe, expect, it } from 'vitest';
import { InvariantError } from '../../src/shared/errors.js';
import type { ImageSet } from '../../src/shared/data/dataset.js';
import { fillNormalized } from '../../src/shared/data/normalize.js';

/** Image i is the single row [i, 255 - i]. */
const set: ImageSet = {
  images: Uint8Array.from({ length: 512 }, (_, at) => (at % 2 === 0 ? at / 2 : 255 - (at - 1) / 2)),
  labels: new Uint8Array(256),
  count: 256,
  height: 1,
  width: 2,
  channels: 1,
  classCount: 10,
};

describe('fillNormalized', () => {
  it('maps bytes to -1..1 with the recipe and keeps the order of the indices', () => {
    const target = new Float32Array(6);
    fillNormalized(target, set, [255, 0, 51], { mean: 0.5, std: 0.5 });
    const at51 = Math.fround(Math.fround(Math.fround(0.2) - 0.5) / 0.5);
    expect([...target]).toEqual([1, -1, -1, 1, at51, Math.fround(Math.fround(Math.fround(0.8) - 0.5) / 0.5)]);
  });

  it('accepts an Int32Array and a repeated index', () => {
    const target = new Float32Array(4);
    fillNormalized(target, set, Int32Array.of(0, 0), { mean: 0, std: 1 });
    expect([...target]).toEqual([0, 1, 0, 1]);
  });

  it('rounds every operation to float32, as float32 arrays do', () => {
    const [mean, std] = [0.1307, 0.3081];
    const target = new Float32Array(512);
    fillNormalized(
      target,
      set,
      Array.from({ length: 256 }, (_, index) => index),
      { mean, std },
    );
    const step = new Float32Array(1);
    const [mean32, std32] = Float32Array.of(mean, std);
    set.images.forEach((byte, at) => {
      step[0] = byte / 255;
      step[0] -= mean32!;
      step[0] /= std32!;
      expect(target[at]).toBe(step[0]);
    });
    // In float64 and rounded once, some of them differ: the steps matter.
    const once = Float32Array.from(set.images, (byte) => (byte / 255 - mean) / std);
    expect(once).not.toEqual(target);
  });

  it.each([
    ['a target of another length', new Float32Array(3), [0, 1], 1],
    ['an index past the end', new Float32Array(2), [256], 1],
    ['a negative index', new Float32Array(2), [-1], 1],
    ['a fraction', new Float32Array(2), [0.5], 1],
    ['a standard deviation of 0', new Float32Array(2), [0], 0],
  ])('refuses %s', (_, target, indices, std) => {
    expect(() => fillNormalized(target, set, indices, { mean: 0, std })).toThrow(InvariantError);
  });
});
