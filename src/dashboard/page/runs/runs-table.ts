/** The table of runs: sorted, searched, and with a box per run that compares it with the displayed one. */

import type { RunSummary } from '../../../shared/runs/run-list.js';
import { maxCompared, type Address } from '../address.js';
import { csvOf, save } from '../chart/download.js';
import { byId, h, setText } from '../dom.js';
import { integer } from '../format.js';
import { runColumns, type RunColumn } from './columns.js';
import { search, sorted } from './query.js';
import type { Selection } from './selection.js';

const outcomes = ['done', 'failed', 'interrupted', 'open'];

export class RunsTable {
  readonly #address: Address;
  readonly #selection: Selection;
  readonly #table = byId('runs');
  readonly #search = byId<HTMLInputElement>('runs-search');
  readonly #outcome = byId<HTMLSelectElement>('runs-outcome');
  #runs: readonly RunSummary[] = [];
  #displayed = '';
  /** The displayed content, so that an unchanged table keeps its focus and its selection. */
  #shown = '';

  constructor(address: Address, selection: Selection) {
    this.#address = address;
    this.#selection = selection;
    const { settings } = address;
    this.#search.value = settings.search;
    this.#search.addEventListener('input', () => this.#change({ search: this.#search.value }));
    this.#outcome.append(
      h('option', { value: '' }, 'any'),
      ...outcomes.map((outcome) => h('option', { value: outcome }, outcome)),
    );
    this.#outcome.value = settings.outcome;
    this.#outcome.addEventListener('change', () => this.#change({ outcome: this.#outcome.value }));
    byId('runs-csv').addEventListener('click', () => this.#download());
  }

  /** @param displayed name of the displayed run */
  show(runs: readonly RunSummary[], displayed: string): void {
    this.#runs = runs;
    this.#displayed = displayed;
    this.#draw();
  }

  #change(change: Parameters<Address['change']>[0]): void {
    this.#address.change(change);
    this.#draw();
  }

  get #found(): RunSummary[] {
    const { sort, search: text, outcome } = this.#address.settings;
    const found = search(this.#runs, text).filter((run) => outcome === '' || run.outcome === outcome);
    return sorted(found, sort);
  }

  #draw(): void {
    const found = this.#found;
    const shown = JSON.stringify([found, this.#address.settings, this.#displayed]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    const count = integer(this.#runs.length);
    const part = found.length === this.#runs.length ? count : `${integer(found.length)} of ${count}`;
    setText(byId('runs-count'), `${part} ${this.#runs.length === 1 ? 'run' : 'runs'}`);
    const focused = document.activeElement?.getAttribute('data-focus') ?? '';
    this.#table.replaceChildren(
      h('caption', { class: 'unseen' }, 'Runs of this folder'),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Compare'), ...runColumns.map((c) => this.#heading(c)))),
      h('tbody', {}, ...found.map((run) => this.#row(run))),
    );
    // The elements are new, and the focus stays where it was.
    if (focused !== '')
      this.#table.querySelector<HTMLElement>(`[data-focus="${CSS.escape(focused)}"]`)?.focus();
  }

  #heading({ key, title, isText = false }: RunColumn): HTMLElement {
    const { sort } = this.#address.settings;
    const direction = sort === key ? 'ascending' : sort === `-${key}` ? 'descending' : 'none';
    const button = h('button', { type: 'button', class: 'sort', 'data-focus': `sort ${key}` }, title);
    button.addEventListener('click', () => this.#change({ sort: direction === 'ascending' ? `-${key}` : key }));
    return h('th', { scope: 'col', 'aria-sort': direction, ...(isText ? { class: 'text' } : {}) }, button);
  }

  #row(run: RunSummary): HTMLElement {
    const cells = runColumns.map((column) => {
      const text = column.show(run);
      const attributes = column.isText === true ? { class: 'text' } : undefined;
      if (column.key === 'run')
        return h(
          'td',
          attributes,
          h('a', { href: this.#address.linkTo(run.name), 'data-focus': `run ${run.name}` }, text),
        );
      if (column.key === 'outcome' && run.outcome === 'failed')
        return h('td', attributes, h('span', { class: 'bad', title: run.error ?? '' }, text));
      if (column.key === 'note' && run.note !== null)
        return h('td', { class: 'text note' }, text);
      return h('td', attributes, text);
    });
    const first = run.name === this.#displayed ? 'shown' : this.#box(run.name);
    return h('tr', {}, h('td', {}, first), ...cells);
  }

  #box(name: string): HTMLElement {
    const { compare } = this.#address.settings;
    const box = h('input', { type: 'checkbox', 'aria-label': `Compare with ${name}`, 'data-focus': `box ${name}` });
    box.checked = compare.includes(name);
    if (!box.checked && compare.length >= maxCompared) {
      box.disabled = true;
      box.title = `At most ${maxCompared} runs are compared with this one. Deselect another one first.`;
    }
    box.addEventListener('change', () => {
      void this.#selection.select(name, box.checked).then(() => this.#draw());
    });
    return box;
  }

  #download(): void {
    const rows = this.#found.map((run) => runColumns.map(({ value }) => value(run)));
    const csv = csvOf([runColumns.map(({ key }) => key), ...rows]);
    save('runs.csv', new Blob([csv], { type: 'text/csv' }));
  }
}
