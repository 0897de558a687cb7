/**
 * How a model that classifies answers, class by class: how many samples of each class were taken for which. Owns what follows from
 * these counts and how it is printed as JSON; counts nothing itself (see worker/confusion-counts.ts).
 */

import { z } from 'zod';

/** With more classes than these the rows are left out of the JSON: they'd be mostly zeros, and megabytes. */
export const mostRows = 1000;

const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
const share = z.number().min(0).max(1).nullable();

export const classResultSchema = z.strictObject({
  /** Its number. */
  class: count,
  /** Samples that are of this class. */
  count,
  /** Those of them that were answered right. */
  correct: count,
  /** correct / count, 0 to 1; null: the split has no sample of it. Elsewhere known as recall. */
  accuracy: share,
  /** Which part of the samples that were answered with this class is of it; null: none was. */
  precision: share,
});
export type ClassResult = Readonly<z.infer<typeof classResultSchema>>;

export const confusionReportSchema = z.strictObject({
  /** Names in order of class number; the numbers themselves where the data has no names. */
  classes: z.array(z.string()),
  /** A row a true class, a column a predicted one; null: more than 1000 classes. */
  confusion: z.array(z.array(count)).nullable(),
  perClass: z.array(classResultSchema),
});
export type ConfusionReport = Readonly<z.infer<typeof confusionReportSchema>>;

/** So many samples of class `label` were answered with class `predicted`. */
export interface ConfusionCell {
  readonly label: number;
  readonly predicted: number;
  readonly count: number;
}

export interface Confusion {
  readonly classes: readonly string[];
  /** Those that aren't 0, by label and then by predicted. */
  readonly cells: readonly ConfusionCell[];
  /** In order of class number. */
  readonly perClass: readonly ClassResult[];
  /** Over all classes. */
  readonly count: number;
  readonly correct: number;
}

/** `known`: classes that the data says it has; there are more where `cells` have more. `names` of the first ones. */
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
      ...{ class: at, count: samples, correct },
      accuracy: part(correct, samples),
      precision: part(correct, answered[at] ?? 0),
    };
  });
  const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
  const classes = perClass.map((_, at) => names[at] ?? String(at));
  return { classes, cells, perClass, count: sum(ofClass), correct: sum(right) };
}

/** As `lockstep eval --json` prints it. */
export function confusionReport({ classes, cells, perClass }: Confusion): ConfusionReport {
  const size = classes.length;
  const rows = size > mostRows ? null : Array.from(classes, () => new Array<number>(size).fill(0));
  for (const cell of cells) rows?.[cell.label]?.splice(cell.predicted, 1, cell.count);
  return { classes: [...classes], confusion: rows, perClass: [...perClass] };
}

/** What was answered wrong, the most frequent first. */
export function confusedPairs({ cells }: Confusion): ConfusionCell[] {
  return cells.filter(({ label, predicted }) => label !== predicted).sort((a, b) => b.count - a.count);
}

/** By what a reader takes for a character, in any language. */
const segmenter = new Intl.Segmenter('en');

/** A class's name on one line of at most `most` characters: names are those of folders and cells of tables, and may hold anything. */
export function shownName(name: string, most: number): string {
  const plain = name.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '\ufffd');
  const characters = Array.from(segmenter.segment(plain), ({ segment }) => segment);
  return characters.length <= most ? characters.join('') : `${characters.slice(0, most - 1).join('')}…`;
}
