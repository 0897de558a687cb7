/** The configuration of the displayed run beside those of the compared runs. Fields that differ are marked. */

import type { Address } from './address.js';
import { byId, h, setText } from './dom.js';
import { flatten, type Leaf } from '../../shared/config/flatten.js';
import type { RunData } from './run-data.js';

export class Configuration {
  readonly #box = byId<HTMLInputElement>('differences');
  #runs: readonly RunData[] = [];
  #shown = '';

  constructor(address: Address) {
    this.#box.checked = address.settings.differences;
    this.#box.addEventListener('change', () => {
      address.change({ differences: this.#box.checked });
      this.#draw();
    });
  }

  show(run: RunData, others: readonly RunData[]): void {
    this.#runs = [run, ...others].filter(({ state }) => state?.run);
    byId('configuration-section').hidden = this.#runs.length === 0;
    this.#draw();
  }

  #draw(): void {
    const compares = this.#runs.length > 1;
    const configs = this.#runs.map(({ state }) => new Map(flatten(state?.run?.config ?? {})));
    const paths = [...new Set(configs.flatMap((config) => [...config.keys()]))];
    const rows = paths.map((path) => {
      const values = configs.map((config) => shown(config.get(path)));
      return { path, values, differs: new Set(values).size > 1 };
    });
    const listed = rows.filter(({ differs }) => differs || !compares || !this.#box.checked);
    const key = JSON.stringify([listed, this.#runs.map(({ name }) => name)]);
    if (key === this.#shown) return;
    this.#shown = key;
    byId('differences-label').hidden = !compares;
    const count = rows.filter(({ differs }) => differs).length;
    const what = count === 1 ? '1 field differs' : `${count} fields differ`;
    setText(byId('configuration-text'), compares ? `${what} between these runs.` : `${rows.length} fields.`);
    const names = this.#runs.map(({ name }) => h('th', { scope: 'col', class: 'text' }, name));
    byId('configuration').replaceChildren(
      h('caption', { class: 'unseen' }, 'Configuration of the runs'),
      h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, 'Field'), ...names)),
      h(
        'tbody',
        {},
        ...listed.map(({ path, values, differs }) =>
          h(
            'tr',
            differs ? { class: 'differs' } : {},
            h(
              'th',
              { scope: 'row' },
              path,
              ...(differs ? [' ', h('span', { class: 'badge' }, 'differs')] : []),
            ),
            ...values.map((value) => h('td', { class: 'text' }, value)),
          ),
        ),
      ),
    );
  }
}

const shown = (value: Leaf | undefined): string =>
  value === undefined || value === null ? '–' : String(value);
