/** The confusion matrix as lines of text; where it doesn't fit, the classes and pairs that go wrong most. */

import {
  confusedPairs,
  confusionReport,
  shownName,
  type Confusion,
} from '../../shared/evaluation/confusion.js';
import { textTable } from './text-table.js';

/** More classes are no table that anybody reads. */
const mostClasses = 20;
/** Rows of each list that stands for the matrix. */
const mostListed = 10;
const nameLength = { matrix: 12, list: 32 } as const;

/** @param columns of the terminal; Infinity where the text goes elsewhere */
export function confusionTable(confusion: Confusion, columns: number): string[] {
  if (confusion.classes.length <= mostClasses) {
    const lines = matrix(confusion);
    if (lines.every(({ length }) => length <= columns)) return [legend, ...lines];
  }
  return lists(confusion);
}

const legend =
  'Rows are the true classes, columns what was predicted; accuracy of a class and precision in %.';

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
  // A dash before a name would be the table's mark of a column of text.
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
    ['-class', 'samples', 'right', 'accuracy', 'precision'],
    worst.map((result) => [
      ...[name(result.class), String(result.count), String(result.correct)],
      ...[percent(result.accuracy, 2), percent(result.precision, 2)],
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
