/**
 * Converts bytes to the network's float32 input with the arithmetic of PyTorch's `ToTensor` and `Normalize`, in which every operation
 * rounds to float32. Never keeps a float copy of the whole set.
 */
import { invariant } from '../errors.js';
import type { ImageSet } from './dataset.js';

/** Mean and standard deviation of pixels scaled to 0..1, as in PyTorch; the MNIST recipe uses 0.5 and 0.5. */
export interface Normalization {
  readonly mean: number;
  readonly std: number;
}

/**
 * Writes the images `indices` of `set` into `target`, one after the other, each pixel as (x / 255 - mean) / std.
 * `target` must have exactly `indices.length * height * width * channels` elements. Allocates one table of 256 floats per call and
 * nothing per sample.
 */
export function fillNormalized(
  target: Float32Array,
  set: ImageSet,
  indices: Int32Array | readonly number[],
  normalization: Normalization,
): void {
  const { images, count } = set;
  const pixelsPerImage = set.height * set.width * set.channels;
  const expected = indices.length * pixelsPerImage;
  invariant(target.length === expected, `fillNormalized: expected ${expected} floats, got ${target.length}`);
  const table = normalizationTable(normalization);
  let write = 0;
  for (let sample = 0; sample < indices.length; sample++) {
    const index = indices[sample] as number;
    invariant(
      Number.isInteger(index) && index >= 0 && index < count,
      `fillNormalized: no image ${index} of ${count}`,
    );
    const end = (index + 1) * pixelsPerImage;
    for (let read = index * pixelsPerImage; read < end; read++) {
      target[write++] = table[images[read] as number] as number;
    }
  }
}

/** Converts the pixels of one picture with the same arithmetic. */
export function normalizePixels(pixels: Uint8Array, normalization: Normalization): Float32Array {
  const table = normalizationTable(normalization);
  return Float32Array.from(pixels, (byte) => table[byte] as number);
}

function normalizationTable({ mean, std }: Normalization): Float32Array {
  const meanFloat = Math.fround(mean);
  const stdFloat = Math.fround(std);
  invariant(
    Number.isFinite(meanFloat) && stdFloat > 0,
    `fillNormalized: expected std > 0, got ${mean} and ${std}`,
  );
  // Rounding a float64 quotient or difference of two float32 numbers to float32 gives the correctly rounded float32 result.
  return Float32Array.from({ length: 256 }, (_, byte) => {
    const scaled = Math.fround(byte / 255);
    return Math.fround(Math.fround(scaled - meanFloat) / stdFloat);
  });
}
