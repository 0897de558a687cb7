/**
 * Random transforms of a training picture. Every draw comes from Philox by (seed, epoch, sample), so a sample of an epoch is the same
 * on every worker and at every read. Computed in float64 and rounded once, so the result is the same on every engine.
 */

import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { AugmentConfig } from '../../shared/config/augment-config.js';
import { PhiloxSequence, philoxKey } from '../../shared/random/philox.js';

/** One picture, [height, width, channels]; changed in place. */
export interface Picture {
  readonly values: Float32Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Value of pixels beyond the edge. */
  readonly background: number;
}

/** The random draws of one sample in one epoch. */
export function augmentationDraws(seed: number, epoch: number, sample: number): PhiloxSequence {
  return new PhiloxSequence(philoxKey(seed, 'augmentation'), epoch, sample);
}

type PictureAugment = Exclude<AugmentConfig, { kind: 'custom' }>;

/** Applies one built-in augmentation in place. */
export function augmentPicture(picture: Picture, config: PictureAugment, random: PhiloxSequence): void {
  switch (config.kind) {
    case 'crop': {
      const [down, right] = [draw(random, config.padding), draw(random, config.padding)];
      move(picture, (y, x) => [y + down, x + right]);
      break;
    }
    case 'flip': {
      if (random.below(2) === 0) return;
      const { height, width } = picture;
      move(picture, (y, x) => (config.axis === 'horizontal' ? [y, width - 1 - x] : [height - 1 - y, x]));
      break;
    }
    case 'affine':
      affine(picture, config, random);
      break;
    case 'cutout': {
      const { height, width, channels, values, background } = picture;
      const top = random.below(height) - Math.floor(config.size / 2);
      const left = random.below(width) - Math.floor(config.size / 2);
      for (let y = Math.max(0, top); y < Math.min(height, top + config.size); y++) {
        const [from, to] = [Math.max(0, left), Math.max(0, Math.min(width, left + config.size))];
        values.fill(background, (y * width + from) * channels, (y * width + Math.max(from, to)) * channels);
      }
      break;
    }
  }
}

/** A uniformly distributed integer in [-max, max]. */
function draw(random: PhiloxSequence, max: number): number {
  return random.below(2 * max + 1) - max;
}

/** Moves pixels: the new pixel at (y, x) is the old pixel at `from(y, x)`, or the background beyond the edge. */
function move(picture: Picture, from: (y: number, x: number) => readonly [number, number]): void {
  const { values, height, width, channels, background } = picture;
  const source = values.slice();
  let write = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [fromY, fromX] = from(y, x);
      const inside = fromY >= 0 && fromY < height && fromX >= 0 && fromX < width;
      const read = (fromY * width + fromX) * channels;
      for (let c = 0; c < channels; c++) values[write++] = inside ? (source[read + c] as number) : background;
    }
  }
}

/** Rotates, shifts, scales and shears around the centre, with bilinear interpolation. */
function affine(
  picture: Picture,
  config: Extract<AugmentConfig, { kind: 'affine' }>,
  random: PhiloxSequence,
): void {
  const { values, height, width, channels, background } = picture;
  const within = (max: number): number => (2 * random.unit() - 1) * max;
  // Five draws for any configuration, so that enabling one setting does not change the draws of the others.
  const angle = (within(config.rotate) * Math.PI) / 180;
  const [down, right] = [within(config.shift), within(config.shift)];
  const size = 1 + within(config.scale);
  const shear = exactMath.tan((within(config.shear) * Math.PI) / 180);
  const [sin, cos] = [exactMath.sin(angle) / size, exactMath.cos(angle) / size];
  const [centreY, centreX] = [(height - 1) / 2, (width - 1) / 2];
  const source = values.slice();
  let write = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // The inverse transform: from the new position of a pixel to its old one.
      const [dy, dx] = [y - centreY - down, x - centreX - right];
      const sheared = dx + shear * dy;
      const fromY = centreY + cos * dy - sin * sheared;
      const fromX = centreX + sin * dy + cos * sheared;
      const [top, left] = [Math.floor(fromY), Math.floor(fromX)];
      const [lower, further] = [fromY - top, fromX - left];
      for (let c = 0; c < channels; c++) {
        const at = (row: number, column: number): number =>
          row >= 0 && row < height && column >= 0 && column < width
            ? (source[(row * width + column) * channels + c] as number)
            : background;
        const above = at(top, left) * (1 - further) + at(top, left + 1) * further;
        const below = at(top + 1, left) * (1 - further) + at(top + 1, left + 1) * further;
        values[write++] = above * (1 - lower) + below * lower;
      }
    }
  }
}
