/** Synthetic samples for the benchmark models: values between -1 and 1, or word indices, from a fixed generator. */

import { samples } from 'lockstep';

/** Number of different samples; a sample's number modulo this selects its values. */
const variety = 64;
const trainCount = 16_384;
const testCount = 8;

function noise(size: number): Float32Array[] {
  return Array.from({ length: variety }, (_, sample) => {
    let state = sample * 7_919 + 1;
    return Float32Array.from({ length: size }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
      return state / 0x3fff_ffff - 1;
    });
  });
}

interface NoiseArgs {
  /** Shape of one input. */
  readonly shape: readonly number[];
  /** Number of classes of the targets, which are class indices; undefined: the target is a 0 or 1 per value of the input. */
  readonly classes?: number;
  /** Makes the inputs word indices below this number. */
  readonly vocabulary?: number;
}

/** Returns the data field of a definition with 16,384 samples of `shape`. */
export function noiseData({ shape, classes, vocabulary }: NoiseArgs) {
  const size = shape.reduce((product, length) => product * length, 1);
  const values = noise(size);
  const masks = values.map((sample) => sample.map((value) => (value > 0 ? 1 : 0)));
  const words = values.map((sample) =>
    sample.map((value) => Math.floor(((value + 1) / 2) * ((vocabulary ?? 1) - 1))),
  );
  const inputs = vocabulary === undefined ? values : words;
  const at = (list: readonly Float32Array[], i: number): Float32Array => list[i % variety] as Float32Array;
  const get = (i: number) => ({
    inputs: [at(inputs, i)],
    targets: [classes === undefined ? at(masks, i) : i % classes],
  });
  return samples({
    name: 'noise',
    version: '1',
    inputs: [{ shape: [...shape], dtype: 'float32' }],
    targets: [
      classes === undefined ? { shape: [...shape], dtype: 'float32' } : { shape: [], dtype: 'int32' },
    ],
    train: { count: trainCount, get },
    test: { count: testCount, get },
  });
}
