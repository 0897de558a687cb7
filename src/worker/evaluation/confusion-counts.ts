/** Counts which class was taken for which while an evaluation goes on. Whole numbers: the same sums in any order. */

import { confusionOf, type Confusion, type ConfusionCell } from '../../shared/evaluation/confusion.js';
import type { DataSplit } from '../../shared/data/training-data.js';
import type { AnsweredBatch } from './misclassified-collector.js';

export class ConfusionCounts {
  /** By label, then by what was predicted. */
  readonly #counts = new Map<number, Map<number, number>>();

  /** A label below 0 is of no class, and isn't counted. */
  add({ labels, predicted }: Pick<AnsweredBatch, 'labels' | 'predicted'>): void {
    predicted.forEach((answer, i) => {
      const label = labels[i] ?? -1;
      if (label < 0) return;
      let row = this.#counts.get(label);
      if (!row) this.#counts.set(label, (row = new Map<number, number>()));
      row.set(answer, (row.get(answer) ?? 0) + 1);
    });
  }

  /** @param split what was evaluated: it names the classes */
  result({ targets: [target] }: Pick<DataSplit, 'targets'>): Confusion {
    const cells = [...this.#counts].flatMap(([label, row]) =>
      [...row].map(([predicted, count]): ConfusionCell => ({ label, predicted, count })),
    );
    return confusionOf(cells, target?.classes ?? 0, target?.classNames);
  }
}
