/** The list of events, newest first. */

import type { Happening } from '../run-view/run-update.js';
import { byId, h } from './dom.js';
import { clock, integer } from './format.js';

export class Events {
  #shown: readonly Happening[] | undefined;

  show(happenings: readonly Happening[]): void {
    if (happenings === this.#shown) return;
    this.#shown = happenings;
    const items = [...happenings].reverse().map(({ timeMs, step, kind, text }) => {
      const bad = kind === 'lost' || kind === 'error' || kind === 'warning';
      return h(
        'li',
        {},
        h('span', {}, clock(timeMs)),
        h('span', {}, `step ${integer(step)}`),
        h('p', bad ? { class: 'bad' } : {}, text),
      );
    });
    byId('events').replaceChildren(
      ...(items.length > 0 ? items : [h('li', {}, h('p', {}, 'No events yet'))]),
    );
  }
}
