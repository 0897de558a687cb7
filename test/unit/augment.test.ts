import { describe, expect, it } from 'vitest';
import {
  augmentSchema,
  type AugmentConfig,
  type AugmentInput,
} from '../../src/shared/config/augment-config.js';
import { augmentationDraws, augmentPicture } from '../../src/worker/data/image-transforms.js';
import type { DataSplit } from '../../src/shared/data/training-data.js';
import { createAugment } from '../../src/worker/data/augmentation.js';

const [height, width, background] = [6, 5, -1];
/** Each pixel a number of its own. */
const original = Float32Array.from({ length: height * width * 2 }, (_, i) => i);

function changed(input: AugmentInput, sample = 0, epoch = 0, seed = 1): Float32Array {
  const values = original.slice();
  const config = augmentSchema.parse(input) as Exclude<AugmentConfig, { kind: 'custom' }>;
  const random = augmentationDraws(seed, epoch, sample);
  augmentPicture({ values, height, width, channels: 2, background }, config, random);
  return values;
}

const many = Array.from({ length: 200 }, (_, sample) => sample);

describe('augmentation', () => {
  it('flips half of the pictures, pixel by pixel', () => {
    const flipped = many.map((sample) => changed({ kind: 'flip' }, sample));
    const mirrored = flipped.filter((values) => values[0] === (width - 1) * 2);
    expect(mirrored.length).toBeGreaterThan(70);
    expect(mirrored.length).toBeLessThan(130);
    for (let x = 0; x < width; x++)
      expect(mirrored[0]![(width + x) * 2 + 1]).toBe(original[(width + width - 1 - x) * 2 + 1]);
    for (const values of flipped) if (!mirrored.includes(values)) expect(values).toEqual(original);
  });

  it('crops by whole pixels, in every direction, with background beyond the edge', () => {
    const shifts = new Set<string>();
    for (const sample of many) {
      const values = changed({ kind: 'crop', padding: 1 }, sample);
      const centre = values[(2 * width + 2) * 2]! / 2;
      const [down, right] = [Math.floor(centre / width) - 2, (centre % width) - 2];
      shifts.add(`${down},${right}`);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const inside = y + down >= 0 && y + down < height && x + right >= 0 && x + right < width;
          const expected = inside ? ((y + down) * width + x + right) * 2 : background;
          expect(values[(y * width + x) * 2]).toBe(expected);
        }
      }
    }
    expect(shifts.size).toBe(9);
  });

  it('does not change a picture by an affine identity, and rotates a picture by the drawn angle', () => {
    expect(changed({ kind: 'affine' })).toEqual(original);
    // One bright pixel right of the centre: where its light has gone.
    const side = 5;
    const values = new Float32Array(side * side);
    values[2 * side + 4] = 1;
    const random = augmentationDraws(3, 0, 7);
    const angle = ((2 * augmentationDraws(3, 0, 7).unit() - 1) * 90 * Math.PI) / 180;
    const config = augmentSchema.parse({ kind: 'affine', rotate: 90 });
    augmentPicture(
      { values, height: side, width: side, channels: 1, background: 0 },
      config as never,
      random,
    );
    let [mass, y, x] = [0, 0, 0];
    for (const [i, value] of values.entries()) {
      mass += value;
      y += value * (Math.floor(i / side) - 2);
      x += value * ((i % side) - 2);
    }
    expect(Math.atan2(y / mass, x / mass)).toBeCloseTo(angle, 1);
  });

  it('cuts out a square that may extend beyond the edge', () => {
    const counts = many.map((sample) => {
      const values = changed({ kind: 'cutout', size: 2 }, sample);
      return values.filter((value) => value === background).length / 2;
    });
    expect(new Set(counts)).toEqual(new Set([1, 2, 4]));
  });

  it('depends only on seed, epoch and sample', () => {
    const affine = { kind: 'affine', rotate: 20, shift: 2, scale: 0.1, shear: 5 } as const;
    const one = changed(affine, 5, 2, 9);
    expect(changed(affine, 5, 2, 9)).toEqual(one);
    for (const other of [changed(affine, 6, 2, 9), changed(affine, 5, 3, 9), changed(affine, 5, 2, 8)])
      expect(other).not.toEqual(one);
  });

  const split: DataSplit = {
    count: 9,
    inputs: [{ shape: [3], dtype: 'float32' }],
    targets: [{ shape: [], dtype: 'int32', classes: 2 }],
    fill: () => undefined,
  };
  const samplesOf = () => ({ count: 2, inputs: [new Float32Array(6)], targets: [new Int32Array(2)] });

  it('draws from the same generator in a function of the user, in which Math.random throws', () => {
    const augment = (draw: (random: { unit(): number }) => number) =>
      createAugment({ seed: 1, augment: [{ kind: 'custom' }] }, split, [
        ({ inputs: [values], random }) => values!.fill(draw(random)),
      ])!;
    const samples = samplesOf();
    augment((random) => random.unit())(4, Int32Array.of(3, 8), samples);
    const expected = [3, 8].map((sample) => Math.fround(augmentationDraws(1, 4, sample).unit()));
    expect([samples.inputs[0]![0], samples.inputs[0]![5]]).toEqual(expected);
    expect(() => augment(() => Math.random())(0, Int32Array.of(0, 1), samplesOf())).toThrow(/Math\.random/);
  });

  it('is refused if no input is a picture', () => {
    const config = { seed: 1, augment: [augmentSchema.parse({ kind: 'flip' })] };
    expect(() => createAugment(config, split, [])).toThrow(
      /"flip" needs an input of height x width x channels, got 3/,
    );
  });
});
