/** Classifies a picture's pixels. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { normalizePixels, type Normalization } from '../../shared/data/normalize.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { finalActivations } from '../executor/final-activation.js';

/** Bytes of one picture, channels last. */
export interface Pixels {
  readonly pixels: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

export interface RankedClass {
  readonly label: number;
  readonly probability: number;
}

/**
 * Returns all classes with their probabilities, the most probable first.
 * @param model returns logits or, if it ends with a softmax, probabilities for [1, height, width, channels]
 */
export function classify(
  tf: Tensorflow,
  model: LayersModel,
  { pixels, height, width, channels }: Pixels,
  normalization: Normalization,
): RankedClass[] {
  const values = tf.tidy(() => {
    const input = tf.tensor4d(normalizePixels(pixels, normalization), [1, height, width, channels]);
    const output = model.predict(input) as Tensor;
    const hasProbabilities = finalActivations(model)[0] === 'softmax';
    return (hasProbabilities ? output : tf.softmax(output)).dataSync<'float32'>();
  });
  return rankedClasses(values);
}

/** Returns the classes with their probabilities, the most probable first. */
export function rankedClasses(probabilities: ArrayLike<number>): RankedClass[] {
  return Array.from(probabilities, (probability, label) => ({ label, probability })).sort(
    (a, b) => b.probability - a.probability || a.label - b.label,
  );
}
