/**
 * One chart: a canvas, and its values as text, at the selected position and as a table. It shows lines over steps, times or epochs and
 * does not depend on runs.
 */

import UPlot from 'uplot';
import { h, tableRows } from '../dom.js';
import { figure, integer } from '../format.js';
import { csvOfLines, pngOf, save } from './download.js';
import { Legend } from './legend.js';
import type { Line } from './line.js';
import { drawMarks, plotData, plotHeight, plotOptions, type Mark, type XAxis } from './plot-options.js';
import type { Bounds } from './ranges.js';
import { valueAt } from './value-at.js';

export interface ChartOptions {
  readonly title: string;
  readonly unit?: string;
  readonly format?: (value: number | null | undefined) => string;
  /** Limits of the possible values, e.g. 0 and 1 for an accuracy. */
  readonly bounds?: Bounds;
  /** True to stack the lines, with areas between them. */
  readonly stacked?: boolean;
  readonly marks: () => readonly Mark[];
  /** Called with the position of the pointer in the chart, and with null when it leaves. */
  readonly hovered: (x: number | null) => void;
  /** Called when a line is hidden or shown. */
  readonly toggled: (line: string) => void;
  readonly isHidden: (line: string) => boolean;
}

const tableLength = 12;
const zoomed = new WeakSet<UPlot>();

export class Chart {
  readonly element: HTMLElement;
  readonly #options: ChartOptions;
  readonly #plot = h('div', { class: 'plot', role: 'img' });
  readonly #legend: Legend;
  readonly #table = h('table');
  readonly #details: HTMLDetailsElement;
  #lines: readonly Line[] = [];
  #x: XAxis = { label: 'Step', format: integer };
  #chart: UPlot | undefined;
  /** Names and forms of the drawn lines; another shape needs another plot. */
  #shape = '';
  #log = false;
  #look: number | null = null;

  constructor(options: ChartOptions) {
    this.#options = options;
    const { title, unit } = options;
    this.#legend = new Legend((key) => {
      options.toggled(key);
      this.show(this.#lines, this.#x);
    });
    const scroll = h('div', { class: 'scroll', tabindex: '0', role: 'region' }, this.#table);
    scroll.setAttribute('aria-label', `${title}: table`);
    this.#details = h('details', {}, h('summary', {}, `${title} as a table`), scroll);
    this.#details.addEventListener('toggle', () => this.#fillTable());
    const heading = h('h3', {}, title, h('span', { class: 'faint' }, unit === undefined ? '' : ` · ${unit}`));
    this.element = h(
      'figure',
      {},
      h('figcaption', {}, heading, this.#tools()),
      this.#plot,
      this.#legend.element,
      this.#details,
    );
    new ResizeObserver(() => this.#resize()).observe(this.#plot);
  }

  set log(on: boolean) {
    this.#log = on;
    this.#rebuild();
  }

  /** Shows lines; a chart without points is not displayed. */
  show(lines: readonly Line[], x: XAxis): void {
    this.#lines = lines.filter((line) => line.x.length > 0);
    this.#x = x;
    this.element.hidden = this.#lines.length === 0;
    const forms = this.#lines.map(({ key, name, raw, low, colour, dots }) => [
      key,
      name,
      colour,
      raw !== undefined,
      low !== undefined,
      dots,
      this.#options.isHidden(key),
    ]);
    const shape = JSON.stringify([x.label, forms]);
    if (shape !== this.#shape || !this.#chart) {
      this.#shape = shape;
      this.#legend.show(this.#lines, this.#options.isHidden, this.#options.stacked === true);
      this.#rebuild();
    } else {
      this.#chart.setData(this.#data(), !zoomed.has(this.#chart));
    }
    this.look(this.#look);
    if (this.#details.open) this.#fillTable();
  }

  /** Moves the cursor to a position and shows the values there; null removes the cursor and shows the last values. */
  look(x: number | null): void {
    this.#look = x;
    const left = x === null || !this.#chart ? -10 : this.#chart.valToPos(x, 'x');
    this.#chart?.setCursor({ left, top: left < 0 ? -10 : plotHeight / 3 }, false);
    this.#say();
  }

  /** Draws again, after a change of colours. */
  repaint(): void {
    this.#legend.show(this.#lines, this.#options.isHidden, this.#options.stacked === true);
    this.#rebuild();
    this.look(this.#look);
  }

  /** The buttons that download the visible lines. */
  #tools(): HTMLElement {
    const { title } = this.#options;
    const button = (kind: string, action: () => void): HTMLElement => {
      const element = h('button', { type: 'button', 'aria-label': `${title} as ${kind}` }, kind);
      element.addEventListener('click', action);
      return element;
    };
    return h(
      'span',
      { class: 'tools' },
      button('CSV', () => {
        const csv = csvOfLines(this.#visible, this.#x.label);
        save(`${title}.csv`, new Blob([csv], { type: 'text/csv' }));
      }),
      button('PNG', () => {
        const canvas = this.#chart?.ctx.canvas;
        if (canvas) void pngOf(canvas, title, this.#visible).then((picture) => save(`${title}.png`, picture));
      }),
    );
  }

  get #visible(): readonly Line[] {
    return this.#lines.filter(({ key }) => !this.#options.isHidden(key));
  }

  #rebuild(): void {
    this.#chart?.destroy();
    this.#chart = undefined;
    const lines = this.#visible;
    const width = this.#plot.clientWidth;
    if (lines.length === 0 || width === 0) return;
    const { format = figure, stacked = false, bounds } = this.#options;
    const x = this.#x;
    const options = plotOptions({
      lines,
      width,
      x,
      format,
      bounds,
      stacked,
      log: this.#log,
      hooks: this.#hooks(),
    });
    this.#chart = new UPlot(options, this.#data(), this.#plot);
  }

  #resize(): void {
    const width = this.#plot.clientWidth;
    if (!this.#chart) this.#rebuild();
    else if (width > 0 && this.#chart.width !== width) this.#chart.setSize({ width, height: plotHeight });
  }

  #data(): UPlot.AlignedData {
    return plotData(this.#visible, this.#options.stacked === true);
  }

  #hooks(): UPlot.Hooks.Arrays {
    const { marks, hovered } = this.#options;
    return {
      ready: [
        (chart) => {
          chart.over.addEventListener('mousemove', (event) => {
            const left = event.clientX - chart.over.getBoundingClientRect().left;
            hovered(chart.data[0][chart.posToIdx(left)] ?? null);
          });
          chart.over.addEventListener('mouseleave', () => hovered(null));
        },
      ],
      setSelect: [
        (chart) => {
          if (chart.select.width > 0) zoomed.add(chart);
        },
      ],
      setScale: [
        (chart, key) => {
          const [first, last] = [chart.data[0][0], chart.data[0].at(-1)];
          if (key === 'x' && chart.scales.x?.min === first && chart.scales.x?.max === last)
            zoomed.delete(chart);
        },
      ],
      draw: [(chart) => drawMarks(chart, marks())],
    };
  }

  /** Writes the values at the selected position, else the last ones, and a summary in one sentence. */
  #say(): void {
    const { title, format = figure, isHidden } = this.#options;
    const shown = this.#lines.map(({ key, x, y }) =>
      isHidden(key) ? '' : format(valueAt(x, y, this.#look)),
    );
    this.#legend.setValues(shown);
    const at =
      this.#look === null ? 'the last step' : `${this.#x.label.toLowerCase()} ${this.#x.format(this.#look)}`;
    const words = this.#lines
      .flatMap(({ key, name }, i) => (isHidden(key) ? [] : [`${name} ${shown[i] ?? ''}`]))
      .join(', ');
    const [first] = this.#visible;
    this.#plot.setAttribute(
      'aria-label',
      first === undefined
        ? `${title}: no lines`
        : `${title} over ${integer(first.x.length)} points. At ${at}: ${words}.`,
    );
  }

  #fillTable(): void {
    if (!this.#details.open) return;
    const { format = figure } = this.#options;
    const lines = this.#visible;
    const longest = lines.reduce<readonly number[]>((x, line) => (line.x.length > x.length ? line.x : x), []);
    const count = Math.min(tableLength, longest.length);
    const positions = Array.from({ length: count }, (_, i) =>
      count === 1 ? (longest[0] ?? 0) : (longest[Math.round((i * (longest.length - 1)) / (count - 1))] ?? 0),
    );
    const rows = positions.map((at) => [
      this.#x.format(at),
      ...lines.map(({ x, y }) => format(valueAt(x, y, at))),
    ]);
    this.#table.replaceChildren(...tableRows([this.#x.label, ...lines.map(({ name }) => name)], rows));
  }
}
