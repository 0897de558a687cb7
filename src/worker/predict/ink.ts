/**
 * Separates writing from background: decides on transparency, polarity and contrast. Never moves or scales pixels.
 */
import type { Plane } from './mnist-field.js';

export interface Picture extends Omit<Plane, 'pixels'> {
  /** Pixels as `height * width * 4` bytes: red, green, blue and alpha, not premultiplied. */
  readonly rgba: Uint8Array;
}

/** A picture whose levels span less than this, of 255, is blank: JPEG and scanners leave that much noise on empty paper. */
const MIN_CONTRAST = 24;
/** Maximum share of the contrast that counts as unevenness of the background. */
const MAX_UNEVENNESS = 1 / 4;
/** Maximum brightness of a border that counts as MNIST's black. */
const BLACK = 32;

/** Converts to grey (ITU-R BT.601), with transparent pixels in the colour of the background. */
export function toGrey(picture: Picture): Plane {
  const { rgba, height, width } = picture;
  const pixels = new Uint8Array(height * width);
  for (let pixel = 0; pixel < pixels.length; pixel++) pixels[pixel] = luma(rgba, pixel * 4);
  const background = backgroundUnder(pixels, picture);
  for (let pixel = 0; pixel < pixels.length; pixel++) {
    const alpha = rgba[pixel * 4 + 3] ?? 0;
    pixels[pixel] = Math.round(((pixels[pixel] ?? 0) * alpha + background * (255 - alpha)) / 255);
  }
  return { pixels, height, width };
}

/** Returns the amount of ink of each pixel, from 0 (background) to 255 (strongest); undefined if nothing stands out. */
export function findInk(grey: Plane): Plane | undefined {
  const { pixels, height, width } = grey;
  const border = sorted(borderOf(grey).map((pixel) => pixels[pixel] ?? 0));
  const background = quantile(border, 0.5);
  const lowest = pixels.reduce((low, level) => Math.min(low, level), 255);
  const highest = pixels.reduce((high, level) => Math.max(high, level), 0);
  const sign = background - lowest > highest - background ? -1 : 1;
  const contrast = sign < 0 ? background - lowest : highest - background;
  if (contrast < MIN_CONTRAST) return undefined;
  const distance = (level: number): number => sign * (level - background);
  // Paper is not evenly lit. The range of nine tenths of the border is not ink, unless ink touches the edge.
  const unevenness = quantile(sorted(border.map(distance)), 0.9);
  const floor = Math.min(Math.max(0, unevenness), contrast * MAX_UNEVENNESS);
  const ink = pixels.map((level) =>
    Math.round((255 * Math.max(0, distance(level) - floor)) / (contrast - floor)),
  );
  return { pixels: ink, height, width };
}

/** Returns true for a picture that is grey and opaque everywhere and has a black border, like MNIST's images. */
export function isMnistLike(picture: Picture): boolean {
  const { rgba } = picture;
  for (let at = 0; at < rgba.length; at += 4) {
    if (rgba[at] !== rgba[at + 1] || rgba[at] !== rgba[at + 2] || rgba[at + 3] !== 255) return false;
  }
  return quantile(sorted(borderOf(picture).map((pixel) => rgba[pixel * 4] ?? 0)), 0.5) <= BLACK;
}

/** Returns the grey level behind transparent pixels. */
function backgroundUnder(levels: Uint8Array, picture: Picture): number {
  const { rgba } = picture;
  const border = borderOf(picture);
  const opaque = border.filter((pixel) => (rgba[pixel * 4 + 3] ?? 0) >= 128);
  // In a mostly opaque picture only corners or holes are cut out of a visible background.
  if (opaque.length * 2 > border.length)
    return quantile(sorted(opaque.map((pixel) => levels[pixel] ?? 0)), 0.5);
  let sum = 0;
  let weight = 0;
  for (let pixel = 0; pixel < levels.length; pixel++) {
    const alpha = rgba[pixel * 4 + 3] ?? 0;
    sum += (levels[pixel] ?? 0) * alpha;
    weight += alpha;
  }
  return sum > 127.5 * weight ? 0 : 255;
}

/** Returns the indices of the outermost pixels. */
function borderOf({ height, width }: Omit<Plane, 'pixels'>): number[] {
  const indices: number[] = [];
  for (let row = 0; row < height; row++) {
    const step = row === 0 || row === height - 1 ? 1 : Math.max(1, width - 1);
    for (let column = 0; column < width; column += step) indices.push(row * width + column);
  }
  return indices;
}

function luma(rgba: Uint8Array, at: number): number {
  return Math.round(0.299 * (rgba[at] ?? 0) + 0.587 * (rgba[at + 1] ?? 0) + 0.114 * (rgba[at + 2] ?? 0));
}

function sorted(levels: number[]): number[] {
  return levels.sort((a, b) => a - b);
}

function quantile(ascending: readonly number[], share: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(ascending.length * share))] ?? 0;
}
