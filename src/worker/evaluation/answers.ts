/** A worker's reports about its predictions in an evaluation: misclassified samples, and counts for the confusion matrix. */

import type { DataSplit } from '../../shared/data/training-data.js';
import { maxCountedClasses } from '../../shared/evaluation/confusion.js';
import { pictureOf } from '../../shared/evaluation/misclassified.js';
import type { MessageOf, WorkerMessage } from '../../shared/protocol/messages.js';
import { ConfusionCounts } from './confusion-counts.js';
import { MisclassifiedCollector, type AnswerSink, type AnsweredBatch } from './misclassified-collector.js';

type Moment = 'generation' | 'split' | 'epoch' | 'step';
type Report =
  | Omit<MessageOf<WorkerMessage, 'misclassified'>, Moment>
  | Omit<MessageOf<WorkerMessage, 'confusion'>, Moment>;

export class Answers implements AnswerSink {
  readonly #misclassified: MisclassifiedCollector;
  readonly #counts = new ConfusionCounts();

  /** @param maxSamples maximum number of misclassified samples to keep */
  constructor(maxSamples: number) {
    this.#misclassified = new MisclassifiedCollector(maxSamples);
  }

  add(batch: AnsweredBatch): void {
    this.#misclassified.add(batch);
    this.#counts.add(batch);
  }

  /** The messages without the moment of the evaluation. There are no counts for more than `maxCountedClasses` classes. */
  reports(split: DataSplit): Report[] {
    const picture = pictureOf(split.inputs[0]?.shape ?? []);
    const samples = [...this.#misclassified.worst];
    const { classes, cells } = this.#counts.result(split);
    return [
      { type: 'misclassified', samples, picture },
      ...(classes.length > maxCountedClasses
        ? []
        : [{ type: 'confusion' as const, classes: [...classes], cells: [...cells] }]),
    ];
  }
}
