/**
 * One chart: a canvas, and its values as text, at the selected step and as a table. It shows lines over steps and does not depend
 * on runs.
 */

import { colour, h, setText, tableRows } from './dom.js';
import { figure, integer } from './format.js';
import UPlot from './uplot.js';
import { valueAt } from './value-at.js';

export interface Line {
  readonly name: string;
  /** Colour of the style sheet, `c0` to `c7`. */
  readonly colour: string;
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
  readonly dashed?: boolean;
  /** True for a line of few points, which are drawn as dots. */
  readonly dots?: boolean;
  /** Range around the line, over the same x. */
  readonly low?: readonly (number | null)[];
  readonly high?: readonly (number | null)[];
}

export interface ChartOptions {
  readonly title: string;
  readonly unit?: string;
  readonly format?: (value: number | null | undefined) => string;
  /** True to stack the lines, with areas between them. */
  readonly stacked?: boolean;
  readonly marks: () => readonly { readonly step: number; readonly bad: boolean }[];
}

const height = 210;
const tableLength = 12;
const axisFont = '12px system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
/** Width of the value axis in CSS pixels; more for longer labels. */
const minAxisWidth = 58;
/** Space for the ticks and the gaps on both sides of a label. */
const axisMargin = 14;
/** uPlot declares these as a const enum, which does not exist at run time. */
// eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- the enum has no value at run time
const [linear, logarithmic] = [1 as UPlot.Scale.Distr, 3 as UPlot.Scale.Distr];
const zoomed = new WeakSet<UPlot>();

export class Chart {
  readonly element: HTMLElement;
  readonly #options: ChartOptions;
  readonly #plot = h('div', { class: 'plot', role: 'img' });
  readonly #legend = h('ul', { class: 'legend' });
  readonly #table = h('table');
  readonly #details: HTMLDetailsElement;
  #values: HTMLElement[] = [];
  #lines: readonly Line[] = [];
  #chart: UPlot | undefined;
  #shape = '';
  #log = false;
  #look: number | null = null;

  constructor(options: ChartOptions) {
    this.#options = options;
    const { title, unit } = options;
    this.#details = h('details', {}, h('summary', {}, `${title} as a table`), this.#table);
    this.#details.addEventListener('toggle', () => this.#fillTable());
    const heading = h('h3', {}, title, h('span', { class: 'faint' }, unit === undefined ? '' : ` · ${unit}`));
    this.element = h('figure', {}, h('figcaption', {}, heading), this.#plot, this.#legend, this.#details);
    new ResizeObserver(() => this.#resize()).observe(this.#plot);
  }

  set log(on: boolean) {
    this.#log = on;
    this.#rebuild();
  }

  show(lines: readonly Line[]): void {
    this.#lines = lines;
    const shape = lines.map(({ name, low }) => `${name}/${low ? 1 : 0}`).join(' ');
    if (shape !== this.#shape || !this.#chart) {
      this.#shape = shape;
      this.#rebuild();
    } else {
      this.#chart.setData(this.#data(), !zoomed.has(this.#chart));
    }
    this.#say();
    if (this.#details.open) this.#fillTable();
  }

  /** Moves the cursor to a step; null removes it. */
  look(step: number | null): void {
    this.#look = step;
    const chart = this.#chart;
    if (chart) {
      const left = step === null ? -10 : chart.valToPos(step, 'x');
      chart.setCursor({ left, top: step === null ? -10 : height / 3 }, false);
    }
    this.#say();
  }

  /** Draws again, also after a change of colours. */
  #rebuild(): void {
    this.#chart?.destroy();
    this.#chart = undefined;
    this.#legend.replaceChildren();
    this.#values = this.#lines.map(({ name, colour: paint }) => {
      const value = h('span');
      const swatch = h('span', { class: 'swatch' });
      swatch.style.background = colour(paint);
      this.#legend.append(h('li', {}, swatch, h('span', {}, name), value));
      return value;
    });
    if (this.#lines.length === 0 || this.#plot.clientWidth === 0) return;
    this.#chart = new UPlot(this.#plotOptions(), this.#data(), this.#plot);
  }

  repaint(): void {
    this.#rebuild();
    this.#say();
  }

  #resize(): void {
    if (!this.#chart) this.#rebuild();
    else if (this.#chart.width !== this.#plot.clientWidth)
      this.#chart.setSize({ width: this.#plot.clientWidth, height });
  }

  #data(): UPlot.AlignedData {
    const tables = this.#lines.map(({ x, y, low, high }): UPlot.AlignedData => {
      return low && high ? [[...x], [...y], [...low], [...high]] : [[...x], [...y]];
    });
    if (this.#options.stacked) return stack(tables);
    return tables.length === 1 && tables[0] ? tables[0] : UPlot.join(tables);
  }

  #plotOptions(): UPlot.Options {
    const { format = figure, stacked = false } = this.#options;
    const series: UPlot.Series[] = [{}];
    const bands: UPlot.Band[] = [];
    for (const { name, colour: paint, dashed = false, dots = false, low } of this.#lines) {
      const stroke = colour(paint);
      series.push({
        label: name,
        stroke,
        width: 1.5,
        spanGaps: true,
        points: { show: dots, size: 6 },
        ...(dashed ? { dash: [6, 4] } : {}),
        ...(stacked ? { fill: stroke, width: 0 } : {}),
      });
      if (!low) continue;
      const invisible: UPlot.Series = {
        width: 0,
        stroke: 'transparent',
        points: { show: false },
        spanGaps: true,
      };
      const at = series.length;
      series.push(invisible, { ...invisible });
      bands.push({ series: [at + 1, at], fill: `${stroke}38` });
    }
    const axis = { stroke: colour('faint'), font: axisFont, grid: { stroke: colour('grid'), width: 1 } };
    const ticks = { stroke: colour('line'), width: 1, size: 4 };
    return {
      width: this.#plot.clientWidth,
      height,
      series,
      bands,
      legend: { show: false },
      scales: {
        x: { time: false },
        y: { distr: this.#log ? logarithmic : linear },
      },
      axes: [
        { ...axis, ticks, size: 30, values: (_, splits) => splits.map(integer) },
        {
          ...axis,
          ticks,
          size: (chart, labels) => labelWidth(chart, labels),
          values: (_, splits) => splits.map((v: number | null) => (v === null ? '' : format(v))),
        },
      ],
      cursor: { sync: { key: 'steps', setSeries: false }, drag: { x: true, y: false, uni: 10 } },
      hooks: this.#hooks(),
    };
  }

  #hooks(): UPlot.Hooks.Arrays {
    const { marks } = this.#options;
    return {
      setCursor: [
        (chart) => {
          const index = chart.cursor.idx;
          const step = index === null || index === undefined ? undefined : chart.data[0][index];
          if (chart.cursor.event) this.#look = step ?? null;
          this.#say();
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

  /** Writes the values at the selected step, else the last ones, and a summary in one sentence. */
  #say(): void {
    const { title, format = figure } = this.#options;
    const shown = this.#lines.map(({ x, y }) => format(valueAt(x, y, this.#look)));
    shown.forEach((text, i) => {
      const element = this.#values[i];
      if (element) setText(element, text);
    });
    const at = this.#look === null ? 'the last step' : `step ${integer(this.#look)}`;
    const words = this.#lines.map(({ name }, i) => `${name} ${shown[i] ?? ''}`).join(', ');
    this.#plot.setAttribute(
      'aria-label',
      words === ''
        ? `${title}: no data yet`
        : `${title} over ${integer(this.#lines[0]?.x.length ?? 0)} points. At ${at}: ${words}.`,
    );
  }

  #fillTable(): void {
    if (!this.#details.open) return;
    const { format = figure } = this.#options;
    const longest = this.#lines.reduce<readonly number[]>(
      (x, line) => (line.x.length > x.length ? line.x : x),
      [],
    );
    const count = Math.min(tableLength, longest.length);
    const steps = Array.from({ length: count }, (_, i) =>
      count === 1 ? (longest[0] ?? 0) : (longest[Math.round((i * (longest.length - 1)) / (count - 1))] ?? 0),
    );
    const rows = steps.map((step) => [
      integer(step),
      ...this.#lines.map(({ x, y }) => format(valueAt(x, y, step))),
    ]);
    this.#table.replaceChildren(...tableRows(['Step', ...this.#lines.map(({ name }) => name)], rows));
  }
}

/** Stacks lines from the bottom up. The topmost comes first, so that the others are drawn over it. */
function stack(tables: readonly UPlot.AlignedData[]): UPlot.AlignedData {
  const x = [...(tables[0]?.[0] ?? [])];
  let below = x.map(() => 0);
  const sums = [...tables].reverse().map((table) => {
    below = below.map((sum, i) => sum + (table[1]?.[i] ?? 0));
    return below;
  });
  return [x, ...sums.reverse()];
}

/** Returns the width of an axis in CSS pixels, so that its longest label is not cut off. */
function labelWidth(chart: UPlot, labels: readonly string[] | null): number {
  const { ctx } = chart;
  ctx.save();
  ctx.font = axisFont;
  const widest = Math.max(0, ...(labels ?? []).map((label) => ctx.measureText(label).width));
  ctx.restore();
  return Math.max(minAxisWidth, Math.ceil(widest) + axisMargin);
}

function drawMarks(chart: UPlot, marks: readonly { step: number; bad: boolean }[]): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.setLineDash([4, 4]);
  for (const { step, bad } of marks) {
    const x = chart.valToPos(step, 'x', true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = colour(bad ? 'bad' : 'c2');
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}
