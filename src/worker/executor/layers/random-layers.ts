/**
 * tfjs's layers that draw random numbers, as parts of a recorded layer: during a call they compute the same function with the run's
 * generator instead of Math.random. Their formulas are those of tfjs-layers 4.22 (noise.ts, core.ts, recurrent.ts).
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { Tensorflow } from '../../../api/tensorflow.js';
import { innerLayers } from '../inner-layers.js';
import { fieldsOf, type Layer } from '../layer.js';
import type { RandomDraws } from './random-draws.js';

type Noise = (x: Tensor, draws: RandomDraws, tf: Tensorflow) => Tensor;

interface NoiseFields {
  readonly rate: number;
  readonly stddev: number;
  readonly noiseShape?: readonly (number | null)[] | null;
}

const noises: Readonly<Record<string, (fields: NoiseFields) => Noise>> = {
  Dropout:
    ({ rate, noiseShape }) =>
    (x, draws) => {
      const shape = noiseShape?.map((size, axis) => size ?? (x.shape[axis] as number));
      return isRate(rate) ? draws.dropped(x, rate, shape) : x;
    },
  SpatialDropout1D:
    ({ rate }) =>
    (x, draws) =>
      isRate(rate) ? draws.dropped(x, rate, spatial(x.shape)) : x,
  GaussianNoise:
    ({ stddev }) =>
    (x, draws, tf) =>
      tf.add(tf.mul(draws.normal(x.shape), stddev), x),
  GaussianDropout:
    ({ rate }) =>
    (x, draws, tf) => {
      if (!isRate(rate)) return x;
      const deviation = Math.sqrt(rate / (1 - rate));
      return tf.mul(x, tf.add(tf.mul(draws.normal(x.shape), deviation), 1));
    },
  AlphaDropout:
    ({ rate }) =>
    (x, draws, tf) => {
      if (!isRate(rate)) return x;
      // tfjs replaces dropped values by the positive number, unlike Klambauer et al. 2017 and Keras.
      const dropped = -1.6732632423543772848170429916717 * 1.0507009873554804934193349852946;
      const kept = tf.cast(tf.greaterEqual(draws.uniform(x.shape), rate), 'float32');
      const scale = 1 / Math.sqrt((1 - rate) * (1 + rate * dropped * dropped));
      const mixed = tf.add(tf.mul(x, kept), tf.mul(tf.add(kept, -1), dropped));
      return tf.add(tf.mul(mixed, scale), -scale * dropped * rate);
    },
};

const spatial = ([samples = 0, , channels = 0]: readonly number[]): number[] => [samples, 1, channels];

const isRate = (rate: number): boolean => rate > 0 && rate < 1;

/** Classes that draw random numbers. */
export const noiseClasses: readonly string[] = Object.keys(noises);

/** A cell of a recurrent layer, which keeps the masks of its dropout from one time step to the next. */
interface CellFields {
  dropoutFunc?: ((x: Tensor, rate: number) => Tensor) | undefined;
  dropoutMask?: Tensor | Tensor[] | null;
  recurrentDropoutMask?: Tensor | Tensor[] | null;
}

interface ReplaceableCall {
  call?: (inputs: Tensor | Tensor[], kwargs: { readonly training?: boolean }) => Tensor;
}

/** The parts of a recorded layer that draw random numbers. */
export class RandomLayers {
  readonly #tf: Tensorflow;
  readonly #noises: readonly { readonly layer: ReplaceableCall; readonly noise: Noise }[];
  readonly #cells: readonly CellFields[];

  constructor(tf: Tensorflow, layer: Layer) {
    this.#tf = tf;
    const inner = innerLayers(layer);
    this.#noises = inner.flatMap((part) => {
      const noise = noises[part.getClassName()]?.(fieldsOf<NoiseFields>(part));
      return noise ? [{ layer: fieldsOf<ReplaceableCall>(part), noise }] : [];
    });
    this.#cells = inner.filter((part) => 'dropoutMask' in part).map((cell) => fieldsOf<CellFields>(cell));
  }

  /** Runs `body`, in which the parts draw from `draws` if they are called in training. */
  with<T>(draws: RandomDraws, body: () => T): T {
    for (const { layer, noise } of this.#noises) {
      layer.call = (inputs, { training }) => {
        const x = (Array.isArray(inputs) ? inputs[0] : inputs) as Tensor;
        return training === true ? noise(x, draws, this.#tf) : x;
      };
    }
    // tfjs's cell calls `dropoutFunc` with a tensor of ones, and multiplies its inputs by the result.
    for (const cell of this.#cells) {
      forgetMasks(this.#tf, cell);
      cell.dropoutFunc = (ones, rate) => draws.dropped(ones, rate);
    }
    try {
      return body();
    } finally {
      for (const { layer } of this.#noises) Reflect.deleteProperty(layer, 'call');
      for (const cell of this.#cells) {
        forgetMasks(this.#tf, cell);
        cell.dropoutFunc = undefined;
      }
    }
  }
}

/** Frees the masks that a cell keeps beyond a call. The tape holds references of its own. */
function forgetMasks(tf: Tensorflow, cell: CellFields): void {
  for (const mask of [cell.dropoutMask, cell.recurrentDropoutMask]) if (mask) tf.dispose(mask);
  cell.dropoutMask = null;
  cell.recurrentDropoutMask = null;
}
