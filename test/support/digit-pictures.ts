/** Draws MNIST digits as people's pictures might show them, and compares what comes back with the original. */
import sharp, { type Sharp } from 'sharp';
import type { ImageSet } from '../../src/shared/data/dataset.js';

export const imageOf = (set: ImageSet, index: number): Uint8Array =>
  set.images.subarray(index * 784, (index + 1) * 784);

/** Raw grey pixels as a picture. */
export const grey = (pixels: Uint8Array, side: number): Sharp =>
  sharp(pixels, { raw: { height: side, width: side, channels: 1 } }).toColourspace('b-w');

type Colour = readonly [number, number, number];
interface Look {
  readonly ink: Colour;
  /** Its colour, or undefined for transparent. */
  readonly paper: ((x: number, y: number) => Colour) | undefined;
  /** Side of the cut-out, transparent corner. */
  readonly corner?: number;
}

/** An MNIST sample drawn ten times as large in the given colours. */
async function paint(digit: Uint8Array, { ink, paper, corner = 0 }: Look): Promise<Sharp> {
  const side = 280;
  const mask = await grey(digit, 28).resize(side, side).raw().toBuffer();
  const rgba = new Uint8Array(side * side * 4);
  mask.forEach((level, at) => {
    const [x, y] = [at % side, Math.floor(at / side)];
    const below = paper?.(x, y) ?? ink;
    const mixed = ink.map((channel, c) => Math.round((channel * level + below[c]! * (255 - level)) / 255));
    const alpha = paper ? (x + y < corner ? 0 : 255) : level;
    rgba.set([...mixed, alpha], at * 4);
  });
  return sharp(rgba, { raw: { height: side, width: side, channels: 4 } });
}

const even = (colour: Colour) => () => colour;
const lamp = (x: number, y: number): Colour => {
  const level = Math.round(210 - 30 * (x / 280) - 20 * (y / 280));
  return [level, level, level - 8];
};

/** Pictures of one 28x28 MNIST digit, by how they are drawn. */
export const looks: Record<string, (digit: Uint8Array) => Promise<Sharp> | Sharp> = {
  'scaled up': (digit) => grey(digit, 28).resize(280, 280),
  'inverted, as JPEG': (digit) => grey(digit, 28).resize(280, 280).negate().jpeg({ quality: 60 }),
  'off centre in a wide field': (digit) =>
    grey(digit, 28).resize(200, 200).extend({ left: 300, right: 20, bottom: 150, background: 'black' }),
  'red on pale blue': (digit) => paint(digit, { ink: [200, 30, 40], paper: even([180, 230, 250]) }),
  'dark on transparent': (digit) => paint(digit, { ink: [20, 20, 60], paper: undefined }),
  'light on transparent': (digit) => paint(digit, { ink: [250, 240, 200], paper: undefined }),
  'on a card with a cut-out corner': (digit) =>
    paint(digit, { ink: [0, 0, 0], paper: even([255, 255, 255]), corner: 60 }),
  'on unevenly lit paper': (digit) => paint(digit, { ink: [60, 60, 70], paper: lamp }),
  'as 16 bit grey': (digit) => grey(digit, 28).resize(280, 280).toColourspace('grey16').png(),
};

/** The correlation coefficient of two images of equal size. */
export function correlation(a: Uint8Array, b: Uint8Array): number {
  const mean = (of: Uint8Array): number => of.reduce((sum, value) => sum + value, 0) / of.length;
  const [meanA, meanB] = [mean(a), mean(b)];
  let [product, squaresA, squaresB] = [0, 0, 0];
  a.forEach((value, at) => {
    const [x, y] = [value - meanA, b[at]! - meanB];
    product += x * y;
    squaresA += x * x;
    squaresB += y * y;
  });
  return product / Math.sqrt(squaresA * squaresB);
}

/** The correlation of two 28x28 images, the second one shifted by at most a pixel each way to where it is best. */
export function bestNearby(a: Uint8Array, b: Uint8Array): number {
  let best = -1;
  for (let shift = 0; shift < 9; shift++) {
    const [down, right] = [Math.floor(shift / 3) - 1, (shift % 3) - 1];
    const moved = new Uint8Array(a.length);
    // MNIST's margins are empty, so that what wraps around is background.
    b.forEach((level, at) => (moved[(at + down * 28 + right + a.length) % a.length] = level));
    best = Math.max(best, correlation(a, moved));
  }
  return best;
}
