/** The workers: the present state of each, and the timeline of their processes. */

import type { Life, RunState } from '../run-view/run-update.js';
import { totalOf, waitingOf } from '../../shared/timeline/step-parts.js';
import { byId, h, svg, tableRows } from './dom.js';
import { bytes, clock, integer } from './format.js';
import type { RunData } from './run-data.js';

const rowHeight = 18;
const nameWidth = 150;
const mostLines = 40;

export class Workers {
  #shown: readonly Life[] = [];

  show({ state, history }: RunData): void {
    if (state) byId('workers').replaceChildren(...rows(state));
    if (!state || (this.#shown === history.lives && state.end)) return;
    this.#shown = history.lives;
    byId('lives').hidden = history.lives.length === 0;
    byId('lives').replaceChildren(lifeLines(history.lives.slice(-mostLines), state));
  }
}

function rows({ workers, run }: RunState): HTMLElement[] {
  const all = run?.config.shards ?? 0;
  const cells = workers.map(({ rank, pid, host, device, state, shards, step, parts, usage }) => {
    const total = parts ? totalOf(parts) : 0;
    return [
      rank === null ? (state === 'loading' ? '–' : 'standby') : String(rank),
      state,
      device === '' ? '–' : device,
      `${pid} on ${host}`,
      `${shards} of ${all}`,
      integer(step),
      total > 0 ? total.toFixed(1) : '–',
      parts && total > 0 ? `${Math.round((100 * waitingOf(parts)) / total)} %` : '–',
      typeof usage?.cores === 'number' ? usage.cores.toFixed(2) : '–',
      usage ? bytes(usage.memoryBytes) : '–',
    ];
  });
  const header = [
    '-Rank',
    '-State',
    '-Device',
    '-Process',
    'Shards',
    'Step',
    'ms per step',
    'Waiting',
    'Busy cores',
    'Memory',
  ];
  return [h('caption', { class: 'unseen' }, 'Present state of each worker'), ...tableRows(header, cells)];
}

/** Draws one bar per process, red if it was lost. */
function lifeLines(lives: readonly Life[], { firstMs, lastMs }: RunState): SVGElement {
  const [width, spanMs] = [Math.max(300, byId('lives').clientWidth), Math.max(1, lastMs - firstMs)];
  const x = (timeMs: number): number => nameWidth + ((width - nameWidth - 10) * (timeMs - firstMs)) / spanMs;
  const lines = lives.flatMap(({ rank, pid, fromMs, toMs, end }, i) => {
    const top = i * rowHeight;
    const [from, to] = [x(fromMs), x(toMs ?? lastMs)];
    const words = `Rank ${rank ?? '–'}, pid ${pid}: from ${clock(fromMs)} ${end === null ? 'until now' : `until ${clock(toMs ?? 0)}, ${end}`}`;
    return [
      svg('text', { x: 0, y: top + 13 }, `rank ${rank ?? '–'} (pid ${pid})`),
      svg(
        'rect',
        { x: from, y: top + 3, width: Math.max(3, to - from), height: rowHeight - 6, rx: 3, class: 'life' },
        svg('title', {}, words),
      ),
      ...(end === null
        ? []
        : [svg('rect', { x: to - 2, y: top + 1, width: 5, height: rowHeight - 2, class: `life-${end}` })]),
    ];
  });
  const lost = lives.filter(({ end }) => end === 'lost').length;
  const label = `Timeline of ${lives.length} worker processes, ${lost} of them lost. The list of events has the same information as text.`;
  return svg(
    'svg',
    {
      viewBox: `0 0 ${width} ${Math.max(1, lives.length) * rowHeight}`,
      class: 'lives',
      role: 'img',
      'aria-label': label,
    },
    ...lines,
  );
}
