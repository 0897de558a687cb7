/** The confusion matrix of the last evaluation on the test set: rows are true classes, columns are predicted classes. */

import type { ShownConfusion } from '../run-view/run-update.js';
import { byId, h, setText, tableRows } from './dom.js';
import { integer, percent } from './format.js';

/** Larger matrices are listed as their most frequent confusions alone. */
const maxShown = 40;
const listed = 20;

export class ConfusionMatrix {
  #shown: ShownConfusion | null = null;

  show(confusion: ShownConfusion | null): void {
    if (confusion === this.#shown) return;
    this.#shown = confusion;
    byId('confusion-section').hidden = confusion === null;
    if (!confusion) return;
    const { step, classes, cells } = confusion;
    const count = cells.reduce((sum, cell) => sum + cell.count, 0);
    const right = cells.reduce((sum, cell) => sum + (cell.label === cell.predicted ? cell.count : 0), 0);
    setText(
      byId('confusion-text'),
      `${integer(right)} of ${integer(count)} samples of the test set are classified correctly after step ${integer(step)}. ` +
        'A row is a class, and a column is a prediction.',
    );
    byId('confusion').replaceChildren(...(classes.length <= maxShown ? matrix(confusion) : pairs(confusion)));
  }
}

function matrix({ classes, cells }: ShownConfusion): HTMLElement[] {
  const counts = classes.map(() => classes.map(() => 0));
  for (const { label, predicted, count } of cells) counts[label]?.splice(predicted, 1, count);
  const names = classes.map((name) => h('th', { scope: 'col' }, name));
  const rows = counts.map((row, label) => {
    const all = row.reduce((sum, count) => sum + count, 0);
    const recall = all === 0 ? null : (row[label] ?? 0) / all;
    return h(
      'tr',
      {},
      h('th', { scope: 'row' }, classes[label] ?? ''),
      ...row.map((count, predicted) => cell(count, all, label === predicted)),
      h('td', { class: 'total' }, percent(recall)),
    );
  });
  const precision = classes.map((_, predicted) => {
    const all = counts.reduce((sum, row) => sum + (row[predicted] ?? 0), 0);
    return percent(all === 0 ? null : (counts[predicted]?.[predicted] ?? 0) / all);
  });
  return [
    h('caption', { class: 'unseen' }, 'Confusion matrix of the test set'),
    h(
      'thead',
      {},
      h('tr', {}, h('th', { scope: 'col' }, 'Class'), ...names, h('th', { scope: 'col' }, 'Recall')),
    ),
    h('tbody', {}, ...rows),
    h(
      'tfoot',
      {},
      h(
        'tr',
        {},
        h('th', { scope: 'row' }, 'Precision'),
        ...precision.map((text) => h('td', { class: 'total' }, text)),
        h('td'),
      ),
    ),
  ];
}

/** A cell whose colour follows the square root of its share of the class, so that one error in a hundred is visible. */
function cell(count: number, all: number, isRight: boolean): HTMLElement {
  const element = h('td', { class: isRight ? 'right' : 'wrong' }, count === 0 ? '·' : integer(count));
  const strength = all === 0 ? 0 : Math.sqrt(count / all);
  element.style.setProperty('--strength', `${Math.round(strength * (isRight ? 30 : 60))}%`);
  return element;
}

function pairs({ classes, cells }: ShownConfusion): HTMLElement[] {
  const wrong = cells.filter(({ label, predicted }) => label !== predicted);
  const most = [...wrong].sort((a, b) => b.count - a.count).slice(0, listed);
  const rows = most.map(({ label, predicted, count }) => [
    classes[label] ?? String(label),
    classes[predicted] ?? String(predicted),
    integer(count),
  ]);
  return [
    h('caption', { class: 'unseen' }, 'The most frequent confusions of the test set'),
    ...tableRows(['-Class', '-Predicted', 'Samples'], rows),
  ];
}
