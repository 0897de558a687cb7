/** The list of events, newest first, which can be searched and limited to a kind. */

import type { Happening } from '../run-view/run-update.js';
import { byId, h, setText } from './dom.js';
import { clock, integer } from './format.js';

const kinds: Readonly<Record<string, readonly Happening['kind'][]>> = {
  errors: ['error', 'warning', 'lost'],
  workers: ['joined', 'lost', 'left', 'recovered'],
  checkpoints: ['checkpoint'],
};

export class Events {
  readonly #search = byId<HTMLInputElement>('events-search');
  readonly #kind = byId<HTMLSelectElement>('events-kind');
  #happenings: readonly Happening[] = [];
  #shown: readonly Happening[] | undefined;

  constructor() {
    this.#search.addEventListener('input', () => this.#draw());
    this.#kind.addEventListener('change', () => this.#draw());
  }

  show(happenings: readonly Happening[]): void {
    if (happenings === this.#shown) return;
    this.#shown = happenings;
    this.#happenings = happenings;
    this.#draw();
  }

  #draw(): void {
    const text = this.#search.value.trim().toLowerCase();
    const wanted = kinds[this.#kind.value];
    const found = this.#happenings.filter(
      (happening) =>
        (wanted?.includes(happening.kind) ?? true) && happening.text.toLowerCase().includes(text),
    );
    const all = this.#happenings.length;
    setText(
      byId('events-count'),
      found.length === all ? '' : `${integer(found.length)} of ${integer(all)} events`,
    );
    const empty = all === 0 ? 'No events yet' : 'No such events';
    const items = [...found].reverse().map(itemOf);
    byId('events').replaceChildren(...(items.length > 0 ? items : [h('li', {}, h('p', {}, empty))]));
  }
}

function itemOf({ timeMs, step, kind, text }: Happening): HTMLElement {
  const bad = kind === 'lost' || kind === 'error' || kind === 'warning';
  return h(
    'li',
    {},
    h('span', {}, clock(timeMs)),
    h('span', {}, `step ${integer(step)}`),
    h('p', bad ? { class: 'bad' } : {}, text),
  );
}
