import { describe, expect, it } from 'vitest';
import type { DataSplit } from '../../src/shared/data/training-data.js';
import { pictureOf } from '../../src/shared/evaluation/misclassified.js';
import {
  classifies,
  MisclassifiedCollector,
  type AnsweredBatch,
} from '../../src/worker/evaluation/misclassified-collector.js';

/** Samples of 2 x 2 pixels and two classes; each is a 0 that is answered with this logit for 1. */
function batch(first: number, ...logits: number[]): AnsweredBatch {
  const count = logits.length;
  return {
    indices: Int32Array.from(logits, (_, i) => first + i),
    labels: new Int32Array(count),
    predicted: Int32Array.from(logits, (logit) => (logit > 0 ? 1 : 0)),
    logits: Float32Array.from(logits.flatMap((logit) => [0, logit])),
    inputs: Float32Array.from(logits.flatMap(() => [-1, 1, 0, -0.5])),
    sampleShape: [2, 2, 1],
  };
}

describe('the misclassified samples of an evaluation', () => {
  it('are those with the highest confidence over all batches, up to the maximum number', () => {
    const mistakes = new MisclassifiedCollector(3);
    mistakes.add(batch(0, 1, -5, 3));
    mistakes.add(batch(3, 2, 0.1, -1));
    expect(mistakes.worst.map(({ index }) => index)).toEqual([2, 3, 0]);
    const [worst] = mistakes.worst;
    expect(worst).toMatchObject({ label: 0, predicted: 1 });
    expect(worst?.confidence).toBeCloseTo(Math.exp(3) / (1 + Math.exp(3)), 6);
    expect([...Buffer.from(worst?.pixels ?? '', 'base64')]).toEqual([0, 255, 128, 64]);
  });

  it('are collected only if a sample belongs to one of several classes', () => {
    const split = (...targets: DataSplit['targets']): DataSplit => ({
      count: 1,
      inputs: [{ shape: [4], dtype: 'float32' }],
      targets,
      fill: () => undefined,
    });
    const digit = { shape: [], dtype: 'int32', classes: 10 } as const;
    expect(classifies(split(digit))).toBe(true);
    expect(classifies(split({ shape: [], dtype: 'float32' }))).toBe(false);
    expect(classifies(split({ ...digit, shape: [7] }))).toBe(false);
    expect(classifies(split(digit, digit))).toBe(false);
  });

  it('have pixels only if the samples are small pictures', () => {
    expect(pictureOf([28, 28, 1])).toEqual({ height: 28, width: 28, channels: 1 });
    expect(pictureOf([28, 28])).toEqual({ height: 28, width: 28, channels: 1 });
    expect(pictureOf([32, 32, 3])).toEqual({ height: 32, width: 32, channels: 3 });
    for (const shape of [[13], [], [224, 224, 3], [8, 8, 2], [4, 4, 4, 1]])
      expect(pictureOf(shape)).toBeNull();
    const mistakes = new MisclassifiedCollector(1);
    mistakes.add({ ...batch(0, 1), sampleShape: [4] });
    expect(mistakes.worst).toMatchObject([{ index: 0, pixels: null }]);
  });
});
