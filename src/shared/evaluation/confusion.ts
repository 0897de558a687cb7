/**
 * The confusion matrix of a classifier and the results per class that follow from it, also as JSON. Predictions are counted in
 * worker/evaluation/confusion-counts.ts.
 */

import { z } from 'zod';

/** Maximum number of classes whose matrix is included in the JSON. Larger ones have megabytes of mostly zeros. */
export const maxRows = 1000;

/** Maximum number of classes whose predictions are counted during training. */
export const maxCountedClasses = 100;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const share = z.number().min(0).max(1).nullable();

export const classResultSchema = z.strictObject({
  /** Class number. */
  class: count,
  /** Number of samples of this class. */
  count,
  /** Number of these samples that were classified correctly. */
  correct: count,
  /** correct / count (recall), 0 to 1; null if the split has no sample of the class. */
  accuracy: share,
  /** Fraction of the samples predicted as this class that belong to it, 0 to 1; null if none was. */
  precision: share,
});
export type ClassResult = Readonly<z.infer<typeof classResultSchema>>;

export const confusionReportSchema = z.strictObject({
  /** Class names in order of class number; the numbers themselves if the data has no names. */
  classes: z.array(z.string()),
  /** [true class][predicted class]; null if there are more than 1000 classes. */
  confusion: z.array(z.array(count)).nullable(),
  perClass: z.array(classResultSchema),
});
export type ConfusionReport = Readonly<z.infer<typeof confusionReportSchema>>;

/** The number of samples of class `label` that were predicted as class `predicted`. */
export const confusionCellSchema = z.strictObject({ label: count, predicted: count, count });
export type ConfusionCell = Readonly<z.infer<typeof confusionCellSchema>>;

export interface Confusion {
  readonly classes: readonly string[];
  /** The cells that are not 0, sorted by label and then by predicted class. */
  readonly cells: readonly ConfusionCell[];
  /** In order of class number. */
  readonly perClass: readonly ClassResult[];
  /** Over all classes. */
  readonly count: number;
  readonly correct: number;
}

/**
 * @param found cells in any order, at most one per pair of classes
 * @param known number of classes of the data; classes beyond it that occur in `found` are included too
 * @param names names of the first classes
 */
export function confusionOf(
  found: readonly ConfusionCell[],
  known: number,
  names: readonly string[] = [],
): Confusion {
  const cells = [...found].sort((a, b) => a.label - b.label || a.predicted - b.predicted);
  const size = cells.reduce((most, cell) => Math.max(most, cell.label + 1, cell.predicted + 1), known);
  const [ofClass, answered, right] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  const add = (to: Float64Array, at: number, n: number): void => {
    to[at] = (to[at] ?? 0) + n;
  };
  for (const cell of cells) {
    add(ofClass, cell.label, cell.count);
    add(answered, cell.predicted, cell.count);
    if (cell.label === cell.predicted) add(right, cell.label, cell.count);
  }
  const part = (some: number, all: number): number | null => (all === 0 ? null : some / all);
  const perClass = Array.from(ofClass, (samples, at): ClassResult => {
    const correct = right[at] ?? 0;
    return {
      class: at,
      count: samples,
      correct,
      accuracy: part(correct, samples),
      precision: part(correct, answered[at] ?? 0),
    };
  });
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
  const classes = perClass.map((_, at) => names[at] ?? String(at));
  return { classes, cells, perClass, count: sum(ofClass), correct: sum(right) };
}

/** The form that `lockstep eval --json` prints. */
export function confusionReport({ classes, cells, perClass }: Confusion): ConfusionReport {
  const size = classes.length;
  const rows = size > maxRows ? null : Array.from(classes, () => new Array<number>(size).fill(0));
  for (const cell of cells) rows?.[cell.label]?.splice(cell.predicted, 1, cell.count);
  return { classes: [...classes], confusion: rows, perClass: [...perClass] };
}

/** Misclassified cells, the most frequent first. */
export function confusedPairs({ cells }: Confusion): ConfusionCell[] {
  return cells.filter(({ label, predicted }) => label !== predicted).sort((a, b) => b.count - a.count);
}

/** Splits text into user-perceived characters, in any language. */
const segmenter = new Intl.Segmenter('en');

/** A class name on one line of at most `maxLength` characters. Names come from folders and tables and may contain anything. */
export function shownName(name: string, maxLength: number): string {
  const plain = name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd');
  const characters = Array.from(segmenter.segment(plain), ({ segment }) => segment);
  return characters.length <= maxLength
    ? characters.join('')
    : `${characters.slice(0, maxLength - 1).join('')}…`;
}
