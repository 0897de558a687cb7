/** Formats the confusion matrix as text. A matrix that is too large is replaced by the least accurate classes and most frequent confusions. */

import {
  confusedPairs,
  confusionReport,
  shownName,
  type Confusion,
} from '../../shared/evaluation/confusion.js';
import { textTable } from './text-table.js';

/** Maximum number of classes of a readable matrix. */
const mostClasses = 20;
/** Number of rows of each list that replaces the matrix. */
const mostListed = 10;
const nameLength = { matrix: 12, list: 32 } as const;

/** @param columns width of the terminal; Infinity if the output is not a terminal */
export function confusionTable(confusion: Confusion, columns: number): string[] {
  if (confusion.classes.length <= mostClasses) {
    const lines = matrix(confusion);
    if (lines.every(({ length }) => length <= columns)) return [legend, ...lines];
  }
  return lists(confusion);
}

const legend = 'Rows are true classes, columns are predicted classes; accuracy and precision per class in %.';

const percent = (part: number | null, digits: number): string =>
  part === null ? '–' : part === 1 ? '100' : (part * 100).toFixed(digits);

function matrix(confusion: Confusion): string[] {
  const { classes, perClass, count, correct } = confusion;
  const names = classes.map((name) => shownName(name, nameLength.matrix));
  const rows = (confusionReport(confusion).confusion ?? []).map((row, label) => [
    names[label] ?? '',
    ...row.map((n) => (n === 0 ? '·' : String(n))),
    percent(perClass[label]?.accuracy ?? null, 2),
  ]);
  const foot = perClass.map(({ precision }) => percent(precision, 1));
  // A leading dash would mark a column of text.
  const header = ['-true', ...names.map((name) => name.replace(/^-/, '–')), 'accuracy'];
  return textTable(header, [
    ...rows,
    ['precision', ...foot, percent(count === 0 ? null : correct / count, 2)],
  ]);
}

function lists(confusion: Confusion): string[] {
  const { classes, perClass } = confusion;
  const name = (at: number): string => shownName(classes[at] ?? '', nameLength.list);
  const present = perClass.filter(({ accuracy }) => accuracy !== null);
  const worst = present.sort((a, b) => (a.accuracy ?? 0) - (b.accuracy ?? 0)).slice(0, mostListed);
  const ofClasses = textTable(
    ['-class', 'samples', 'correct', 'accuracy', 'precision'],
    worst.map((result) => [
      name(result.class),
      String(result.count),
      String(result.correct),
      percent(result.accuracy, 2),
      percent(result.precision, 2),
    ]),
  );
  const pairs = confusedPairs(confusion);
  const ofPairs = textTable(
    ['-true', '-predicted', 'samples'],
    pairs
      .slice(0, mostListed)
      .map(({ label, predicted, count }) => [name(label), name(predicted), String(count)]),
  );
  return [
    `Least accurate ${worst.length} of ${classes.length} classes, in %:`,
    ...ofClasses,
    ...(pairs.length === 0
      ? []
      : [`Most frequent ${Math.min(mostListed, pairs.length)} of ${pairs.length} confusions:`, ...ofPairs]),
  ];
}
