/** Gathers what a worker's part of an evaluation gets wrong: the answers that it was surest of, and no more than asked for. */

import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { DataSplit } from '../../shared/data/training-data.js';
import { pictureOf, type MisclassifiedSample } from '../../shared/evaluation/misclassified.js';

export interface AnsweredBatch {
  readonly indices: Int32Array;
  readonly labels: ArrayLike<number>;
  readonly predicted: Int32Array;
  /** A row of `classes` values a sample. */
  readonly logits: Float32Array;
  readonly inputs: ArrayLike<number>;
  readonly sampleShape: readonly number[];
}

/** Who is told of an evaluation's answers, batch by batch, before the batch's arrays are reused. */
export interface AnswerSink {
  add(batch: AnsweredBatch): void;
}

/** Whether a sample has one right answer among several, by which it can be read wrong. */
export function classifies({ inputs, targets: [target, ...others] }: DataSplit): boolean {
  const one = inputs.length === 1 && others.length === 0;
  return one && target?.shape.length === 0 && target.dtype === 'int32' && (target.classes ?? 0) > 1;
}

export class MisclassifiedCollector implements AnswerSink {
  readonly #most: number;
  #worst: MisclassifiedSample[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  add({ indices, labels, predicted, logits, inputs, sampleShape }: AnsweredBatch): void {
    const classes = logits.length / indices.length;
    const size = inputs.length / indices.length;
    const found: MisclassifiedSample[] = [];
    indices.forEach((index, i) => {
      const [label = 0, answer = 0] = [labels[i], predicted[i]];
      if (label === answer || label < 0) return;
      const confidence = softmaxOf(logits.subarray(i * classes, (i + 1) * classes), answer);
      const pixels =
        pictureOf(sampleShape) &&
        pixelsOf(Float32Array.from({ length: size }, (_, at) => inputs[i * size + at] ?? 0));
      found.push({ index, label, predicted: answer, confidence, pixels });
    });
    if (found.length === 0) return;
    this.#worst = [...this.#worst, ...found]
      .sort((a, b) => b.confidence - a.confidence || a.index - b.index)
      .slice(0, this.#most);
  }

  get worst(): readonly MisclassifiedSample[] {
    return this.#worst;
  }
}

function softmaxOf(logits: Float32Array, answer: number): number {
  const largest = Math.max(...logits);
  const { exp } = exactMath;
  const sum = logits.reduce((total, logit) => total + exp(logit - largest), 0);
  const share = exp((logits[answer] ?? 0) - largest) / sum;
  return Number.isFinite(share) ? Math.min(1, share) : 0;
}

/** From the sample's own range to 0 to 255, in base64. */
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
