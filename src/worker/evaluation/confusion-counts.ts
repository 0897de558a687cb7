/** Counts the predictions of an evaluation by label and predicted class. Integers, so that the order of batches does not matter. */

import { confusionOf, type Confusion, type ConfusionCell } from '../../shared/evaluation/confusion.js';
import type { DataSplit } from '../../shared/data/training-data.js';
import type { AnsweredBatch } from './misclassified-collector.js';

export class ConfusionCounts {
  /** By label, then by predicted class. */
  readonly #counts = new Map<number, Map<number, number>>();

  /** Counts a batch. Samples with a label below 0 have no class and are not counted. */
  add({ labels, predicted }: Pick<AnsweredBatch, 'labels' | 'predicted'>): void {
    predicted.forEach((prediction, i) => {
      const label = labels[i] ?? -1;
      if (label < 0) return;
      let row = this.#counts.get(label);
      if (!row) this.#counts.set(label, (row = new Map<number, number>()));
      row.set(prediction, (row.get(prediction) ?? 0) + 1);
    });
  }

  /** @param split the evaluated split, which has the names of the classes */
  result({ targets: [target] }: Pick<DataSplit, 'targets'>): Confusion {
    const cells = [...this.#counts].flatMap(([label, row]) =>
      [...row].map(([predicted, count]): ConfusionCell => ({ label, predicted, count })),
    );
    return confusionOf(cells, target?.classes ?? 0, target?.classNames);
  }
}
