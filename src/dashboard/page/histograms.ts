/** The histograms of one tensor over the steps, as ridges: the latest one is in front. */

import type { TensorHistograms } from '../run-view/run-update.js';
import { byId, h, setText, svg } from './dom.js';
import { figure, integer } from './format.js';
import type { RunData } from './run-data.js';
import { fetchHistograms } from './runs/fetch.js';

const [width, ridge, rowGap, bottom, labels] = [640, 70, 11, 24, 70];

export class Histograms {
  readonly #select = byId<HTMLSelectElement>('histogram-tensor');
  readonly #details = byId<HTMLDetailsElement>('histograms-details');
  #run: RunData | undefined;
  /** The run and the step whose histograms are shown. */
  #shown = '';

  constructor() {
    this.#details.addEventListener('toggle', () => this.#refresh());
    this.#select.addEventListener('change', () => {
      this.#shown = '';
      this.#refresh();
    });
  }

  show(run: RunData): void {
    this.#run = run;
    byId('histograms-section').hidden = typeof run.state?.histogramStep !== 'number';
    this.#refresh();
  }

  /** Histograms are loaded only while they are displayed. */
  #refresh(): void {
    const { name, state } = this.#run ?? {};
    const step = state?.histogramStep;
    if (name === undefined || typeof step !== 'number' || !this.#details.open) return;
    const shown = `${name} ${step}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#load(name).catch(() => (this.#shown = ''));
  }

  async #load(run: string): Promise<void> {
    const { names, shown } = await fetchHistograms(run, this.#select.value);
    if (names.length !== this.#select.options.length)
      this.#select.replaceChildren(...names.map((name) => h('option', { value: name }, name)));
    if (!shown) return;
    this.#select.value = `${shown.kind}/${shown.name}`;
    byId('histograms').replaceChildren(ridges(shown));
    const last = shown.entries.at(-1);
    if (last) setText(byId('histograms-text'), describe(last));
  }
}

function describe({ step, histogram }: TensorHistograms['entries'][number]): string {
  const { min, max, count, sum, sumOfSquares } = histogram;
  const mean = sum / count;
  const deviation = Math.sqrt(Math.max(0, sumOfSquares / count - mean * mean));
  return (
    `After step ${integer(step)}: ${integer(count)} values from ${figure(min)} to ${figure(max)}, ` +
    `mean ${figure(mean)}, standard deviation ${figure(deviation)}.`
  );
}

function ridges({ kind, name, entries }: TensorHistograms): SVGElement {
  const filled = entries.filter(({ histogram }) => histogram.buckets.length > 0);
  const low = Math.min(...filled.map(({ histogram }) => histogram.min));
  const high = Math.max(...filled.map(({ histogram }) => histogram.max));
  const span = high > low ? high - low : 1;
  const x = (value: number): number => ((value - low) / span) * (width - labels - 10) + 5;
  const curves = filled.map(({ step, histogram: { min, max, count: all, buckets } }) => {
    const size = Math.max((max - min) / buckets.length, span / 1000);
    // Densities, so that histograms with wider buckets are not higher.
    return { step, min, size, densities: buckets.map((count) => count / all / size) };
  });
  const peak = Math.max(...curves.flatMap(({ densities }) => densities), Number.MIN_VALUE);
  const height = ridge + curves.length * rowGap + bottom;
  const rows = curves.map(({ step, min, size, densities }, i) => {
    const base = ridge + (i + 1) * rowGap;
    const isLast = i === curves.length - 1;
    const points = densities.map(
      (value, bucket) =>
        `${x(min + (bucket + 0.5) * size).toFixed(1)},${(base - (value / peak) * ridge).toFixed(1)}`,
    );
    const line = `${x(min).toFixed(1)},${base} ${points.join(' ')} ${x(min + densities.length * size).toFixed(1)},${base}`;
    return svg(
      'g',
      {},
      svg('polygon', { points: line, class: isLast ? 'ridge latest' : 'ridge' }),
      svg('text', { x: width - labels + 4, y: base + 3 }, i % 3 === 0 || isLast ? integer(step) : ''),
      svg('title', {}, `Step ${integer(step)}`),
    );
  });
  const ticks = [low, low + span / 2, low + span].map((value, i) =>
    svg(
      'text',
      { x: x(value), y: height - 4, 'text-anchor': ['start', 'middle', 'end'][i] ?? '' },
      figure(value),
    ),
  );
  const label = `Histograms of ${kind} ${name} at ${curves.length} steps, from ${figure(low)} to ${figure(low + span)}`;
  return svg(
    'svg',
    { viewBox: `0 0 ${width} ${height}`, class: 'ridges', role: 'img', 'aria-label': label },
    ...rows,
    ...ticks,
  );
}
