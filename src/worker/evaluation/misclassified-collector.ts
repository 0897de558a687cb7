/** Collects the misclassified samples of a worker's part of an evaluation, those with the highest confidence first. */

import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { DataSplit } from '../../shared/data/training-data.js';
import { pictureOf, type MisclassifiedSample } from '../../shared/evaluation/misclassified.js';

export interface AnsweredBatch {
  readonly indices: Int32Array;
  readonly labels: ArrayLike<number>;
  readonly predicted: Int32Array;
  /** [sample][class], flat. */
  readonly logits: Float32Array;
  readonly inputs: ArrayLike<number>;
  readonly sampleShape: readonly number[];
}

/** Receives the predictions of an evaluation batch by batch. The batch's arrays are valid during the call only. */
export interface AnswerSink {
  add(batch: AnsweredBatch): void;
}

/** Returns true if the split has one input and one target, and the target is one of at least two classes. */
export function classifies({ inputs, targets: [target, ...others] }: DataSplit): boolean {
  const isSingle = inputs.length === 1 && others.length === 0;
  return isSingle && target?.shape.length === 0 && target.dtype === 'int32' && (target.classes ?? 0) > 1;
}

export class MisclassifiedCollector implements AnswerSink {
  readonly #maxCount: number;
  #worst: MisclassifiedSample[] = [];

  /** @param maxCount maximum number of samples to keep */
  constructor(maxCount: number) {
    this.#maxCount = maxCount;
  }

  add({ indices, labels, predicted, logits, inputs, sampleShape }: AnsweredBatch): void {
    const classes = logits.length / indices.length;
    const size = inputs.length / indices.length;
    const found: MisclassifiedSample[] = [];
    indices.forEach((index, i) => {
      const [label = 0, prediction = 0] = [labels[i], predicted[i]];
      if (label === prediction || label < 0) return;
      const confidence = softmaxOf(logits.subarray(i * classes, (i + 1) * classes), prediction);
      const pixels =
        pictureOf(sampleShape) &&
        pixelsOf(Float32Array.from({ length: size }, (_, at) => inputs[i * size + at] ?? 0));
      found.push({ index, label, predicted: prediction, confidence, pixels });
    });
    if (found.length === 0) return;
    this.#worst = [...this.#worst, ...found]
      .sort((a, b) => b.confidence - a.confidence || a.index - b.index)
      .slice(0, this.#maxCount);
  }

  /** The collected samples, highest confidence first. */
  get worst(): readonly MisclassifiedSample[] {
    return this.#worst;
  }
}

/** The softmax probability of class `index`; 0 if it is not finite. */
function softmaxOf(logits: Float32Array, index: number): number {
  const largest = Math.max(...logits);
  const { exp } = exactMath;
  const sum = logits.reduce((total, logit) => total + exp(logit - largest), 0);
  const probability = exp((logits[index] ?? 0) - largest) / sum;
  return Number.isFinite(probability) ? Math.min(1, probability) : 0;
}

/** Scales the sample's own range of values to 0..255; base64. */
function pixelsOf(values: Float32Array): string {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const scale = high > low ? 255 / (high - low) : 0;
  const bytes = Uint8Array.from(values, (value) => Math.round((value - low) * scale));
  return Buffer.from(bytes.buffer).toString('base64');
}
