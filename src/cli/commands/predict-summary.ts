/** Compares predictions with the answers that a file states, one target at a time. */

import { combineClasses, scoreOf } from '../../worker/objective/count-scores.js';

interface ClassCounts {
  /** Right, predicted and actual samples of each class. */
  readonly classes: Map<number, Float64Array>;
}

interface Errors {
  count: number;
  absolute: number;
  squared: number;
}

export class PredictionSummary {
  readonly #classes = new Map<string, ClassCounts>();
  readonly #errors = new Map<string, Errors>();

  /** Counts a sample whose class is known. */
  addClass(target: string, predicted: number, actual: number): void {
    const { classes } = this.#classes.get(target) ?? { classes: new Map<number, Float64Array>() };
    this.#classes.set(target, { classes });
    const add = (of: number, place: number): void => {
      const counts = classes.get(of) ?? new Float64Array(3);
      counts[place] = (counts[place] ?? 0) + 1;
      classes.set(of, counts);
    };
    if (predicted === actual) add(actual, 0);
    add(predicted, 1);
    add(actual, 2);
  }

  /** Adds the error of a sample whose number is known. */
  addNumber(target: string, predicted: number, actual: number): void {
    const errors = this.#errors.get(target) ?? { count: 0, absolute: 0, squared: 0 };
    const error = predicted - actual;
    errors.count++;
    errors.absolute += Math.abs(error);
    errors.squared += error * error;
    this.#errors.set(target, errors);
  }

  /** Returns one line per target, as text or as JSON; none if no answer was known. */
  lines(json: boolean): string[] {
    const results = [
      ...[...this.#classes].map(([target, counts]) => ({ target, ...ofClasses(counts) })),
      ...[...this.#errors].map(([target, { count, absolute, squared }]) => ({
        target,
        count,
        metrics: { meanAbsoluteError: absolute / count, meanSquaredError: squared / count },
      })),
    ];
    return results.map(({ target, count, metrics }) => {
      if (json) return JSON.stringify({ event: 'summary', target, count, metrics });
      const values = Object.entries(metrics).map(([name, value]) => `${name}: ${value.toFixed(4)}`);
      return `${target}, ${count} with a known answer: ${values.join(', ')}`;
    });
  }
}

/** Precision, recall and F1 are means over the classes that occur or are predicted. */
function ofClasses({ classes }: ClassCounts): { count: number; metrics: Readonly<Record<string, number>> } {
  const counts = Float64Array.from([...classes.values()].flatMap((one) => [...one]));
  const macro = (kind: 'precision' | 'recall' | 'f1'): number =>
    combineClasses(counts, 3, 'macro', (one) => scoreOf(kind, one));
  return {
    count: [...classes.values()].reduce((total, one) => total + (one[2] ?? 0), 0),
    metrics: {
      accuracy: combineClasses(counts, 3, 'micro', (one) => scoreOf('recall', one)),
      precision: macro('precision'),
      recall: macro('recall'),
      f1: macro('f1'),
    },
  };
}
