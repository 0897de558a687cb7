import { describe, expect, it } from 'vitest';
import { confusionTable } from '../../src/cli/tables/confusion-table.js';
import {
  confusedPairs,
  confusionOf,
  confusionReport,
  confusionReportSchema,
  shownName,
} from '../../src/shared/evaluation/confusion.js';
import { checkData } from '../../src/worker/data/check-data.js';
import type { TensorSpec } from '../../src/shared/data/training-data.js';
import { ConfusionCounts } from '../../src/worker/evaluation/confusion-counts.js';

const target = (classes: number, classNames?: string[]): { targets: TensorSpec[] } => ({
  targets: [{ shape: [], dtype: 'int32', classes, ...(classNames && { classNames }) }],
});

/** Converts pairs (true, predicted) to batches of two. */
function counted(pairs: readonly (readonly [number, number])[], split = target(3, ['cat', 'dog', 'owl'])) {
  const counts = new ConfusionCounts();
  for (let start = 0; start < pairs.length; start += 2) {
    const batch = pairs.slice(start, start + 2);
    const predicted = Int32Array.from(batch, ([, answer]) => answer);
    counts.add({ labels: batch.map(([label]) => label), predicted });
  }
  return counts.result(split);
}

const pairs = [
  [0, 0] as const,
  [0, 0] as const,
  [0, 1] as const,
  [1, 1] as const,
  [1, 0] as const,
  [0, 1] as const,
  [1, 1] as const,
];

describe('the confusion matrix of an evaluation', () => {
  it('has one row per true class and one column per predicted class, for batches in any order', () => {
    const report = confusionReport(counted(pairs));
    expect(confusionReportSchema.parse(report)).toEqual({
      classes: ['cat', 'dog', 'owl'],
      confusion: [
        [2, 2, 0],
        [1, 2, 0],
        [0, 0, 0],
      ],
      perClass: [
        { class: 0, count: 4, correct: 2, accuracy: 0.5, precision: 2 / 3 },
        { class: 1, count: 3, correct: 2, accuracy: 2 / 3, precision: 0.5 },
        { class: 2, count: 0, correct: 0, accuracy: null, precision: null },
      ],
    });
    expect(counted(pairs)).toMatchObject({ count: 7, correct: 4 });
    expect(counted([...pairs].reverse())).toEqual(counted(pairs));
    expect(confusedPairs(counted(pairs))).toEqual([
      { label: 0, predicted: 1, count: 2 },
      { label: 1, predicted: 0, count: 1 },
    ]);
  });

  it('includes predicted classes beyond those of the data, and ignores samples without a class', () => {
    const { classes, count } = counted([[0, 4] as const, [-1, 0] as const]);
    expect(classes).toEqual(['cat', 'dog', 'owl', '3', '4']);
    expect(count).toBe(1);
  });

  it('omits the rows from the JSON if there would be millions of zeros', () => {
    expect(confusionReport(confusionOf([], 1000)).confusion).toHaveLength(1000);
    expect(confusionReport(confusionOf([], 1001))).toMatchObject({ confusion: null });
  });

  it('takes the class names from the data', () => {
    const data = (classNames: unknown) => {
      const split = {
        count: 1,
        fill: () => undefined,
        inputs: [{ shape: [1], dtype: 'float32' }],
        targets: [{ shape: [], dtype: 'int32', classes: 2, classNames }],
      };
      return { name: 'x', sha256: '0'.repeat(64), train: split, test: split } as never;
    };
    expect(checkData(data(['a', 'b']))).toBeDefined();
    expect(() => checkData(data(['a']))).toThrow(
      /train\.targets\.0\.classNames": must be as many names as there are classes/,
    );
    expect(() => checkData(data('ab'))).toThrow(/classNames/);
  });
});

describe('the table of a confusion matrix', () => {
  it('has counts, the accuracy of each class in its row and the precision in the last row', () => {
    expect(confusionTable(counted(pairs), 80).slice(1)).toEqual([
      'true        cat   dog  owl  accuracy',
      'cat           2     2    ·     50.00',
      'dog           1     2    ·     66.67',
      'owl           ·     ·    ·         –',
      'precision  66.7  50.0    –     57.14',
    ]);
  });

  it('is replaced by the worst classes and pairs in a narrow terminal or with many classes', () => {
    const narrow = confusionTable(counted(pairs), 34);
    expect(narrow).toEqual([
      'Least accurate 2 of 3 classes, in %:',
      'class  samples  correct  accuracy  precision',
      'cat          4        2     50.00      66.67',
      'dog          3        2     66.67      50.00',
      'Most frequent 2 of 2 confusions:',
      'true  predicted  samples',
      'cat   dog              2',
      'dog   cat              1',
    ]);
    const many = confusionOf(
      Array.from({ length: 50 }, (_, at) => ({ label: at, predicted: (at * 7) % 50, count: at + 1 })),
      50,
    );
    const lines = confusionTable(many, Infinity);
    expect(lines).toHaveLength(2 + 10 + 2 + 10);
    expect(lines).toContain('49    43              50');
    expect(confusionTable(confusionOf([{ label: 0, predicted: 0, count: 3 }], 21), 80).join()).not.toContain(
      'confusions',
    );
  });

  it('shortens long names and replaces control characters in names', () => {
    expect(shownName('a\u001b[2Jb\nc\u202ed\ud800', 20)).toBe('a\ufffd[2Jb\ufffdc\ufffdd\ufffd');
    expect(shownName('🐈'.repeat(9), 4)).toBe('🐈🐈🐈…');
    const hostile = counted(pairs, target(3, ['-\u001b[31mred', 'x'.repeat(99), '\r\n']));
    for (const columns of [80, 10]) {
      const text = confusionTable(hostile, columns).join('\n');
      expect(text).not.toMatch(/[\u001b\r]/);
      expect(text).not.toContain('x'.repeat(32));
      expect(text).toContain('\ufffd[31mred');
    }
  });
});
