/** The page's charts. */

import { stepParts, type StepPart } from '../../shared/timeline/step-parts.js';
import type { Address } from './address.js';
import { Chart, type ChartOptions } from './chart/chart.js';
import type { Line } from './chart/line.js';
import { byId, setText } from './dom.js';
import { integer, metricBounds, metricFigure, metricTitle } from './format.js';
import type { RunData } from './run-data.js';
import { RunLines } from './run-lines.js';
import { runAxes, type RunAxis } from './x-axis.js';

const partNames: Readonly<Record<StepPart, string>> = {
  data: 'data',
  forward: 'forward',
  loss: 'loss',
  backward: 'backward',
  waitBatchNorm: 'waiting for BatchNorm',
  waitGradients: 'waiting for gradients',
  update: 'update',
  other: 'other',
};

const mostMarks = 100;

export class Charts {
  readonly #address: Address;
  readonly #loss: Chart;
  readonly #learningRate: Chart;
  readonly #rate: Chart;
  readonly #parts: Chart;
  readonly #cores: Chart;
  readonly #memory: Chart;
  /** One chart per metric, by name. */
  readonly #metrics = new Map<string, Chart>();
  /** One chart per name of the values that callbacks log. */
  readonly #scalars = new Map<string, Chart>();
  #run: RunData | undefined;
  /** Position that the user has selected; null for the latest one. */
  #selected: number | null = null;

  constructor(address: Address) {
    this.#address = address;
    this.#loss = this.#chart({ title: 'Loss' });
    this.#rate = this.#chart({ title: 'Images per second' });
    this.#parts = this.#chart({ title: 'Time of a step by part', unit: 'milliseconds', stacked: true });
    this.#learningRate = this.#chart({ title: 'Learning rate' });
    this.#cores = this.#chart({ title: 'CPU of each worker', unit: 'busy cores' });
    this.#memory = this.#chart({ title: 'Memory of each worker', unit: 'gigabytes' });
    byId('charts').append(...this.#all().map(({ element }) => element));
    this.#loss.log = address.settings.log;
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const chart of this.#all()) chart.repaint();
    });
  }

  /** Selects a linear or a logarithmic loss axis. */
  set log(on: boolean) {
    this.#loss.log = on;
  }

  get axis(): RunAxis {
    return runAxes[this.#address.settings.x];
  }

  show(run: RunData, others: readonly RunData[]): void {
    this.#run = run;
    const { axis } = this;
    const lines = new RunLines(run, others, axis, this.#address.settings.smoothing);
    this.#loss.show(
      [...lines.steps('loss', ['lossMin', 'lossMax']), ...lines.evaluations(({ loss }) => loss)],
      axis,
    );
    this.#learningRate.show(lines.steps('learningRate'), axis);
    this.#rate.show(lines.steps('imagesPerSecond'), axis);
    const all = [run, ...others];
    for (const metric of new Set([...metricsOf(all), ...this.#metrics.keys()]))
      this.#metricChart(metric).show(
        [
          ...lines.values(({ batchMetrics }) => batchMetrics.get(metric), 'steps', 'batches'),
          ...lines.evaluations(({ metrics }) => metrics[metric]),
        ],
        axis,
      );
    const names = all.flatMap(({ scalars }) => [...scalars.keys()]);
    for (const name of new Set([...names, ...this.#scalars.keys()]))
      this.#scalarChart(name).show(
        lines.values(({ scalars }) => scalars.get(name), 'steps', 'this run'),
        axis,
      );
    const omitted = Math.max(...all.map(({ omittedScalars }) => omittedScalars));
    byId('omitted-scalars').hidden = omitted === 0;
    setText(
      byId('omitted-scalars'),
      `The run logs too many values for the page: ${integer(omitted)} more names have no chart. The run's log and TensorBoard have all of them.`,
    );
    const x = axis.positions(run, run.parts);
    this.#parts.show(
      stepParts.map((part, i): Line => ({
        key: part,
        name: partNames[part],
        colour: `c${i}`,
        pattern: 'solid',
        x,
        y: run.parts.column(part),
      })),
      axis,
    );
    this.#cores.show(usageLines(run, axis, 'cores', 1), axis);
    this.#memory.show(usageLines(run, axis, 'memoryBytes', 1e-9), axis);
    const isEmpty = this.#all().every(({ element }) => element.hidden);
    byId('no-charts').hidden = !isEmpty;
    setText(byId('no-charts'), run.state?.end ? 'The run ended without values.' : 'There are no values yet.');
    for (const id of ['chart-controls', 'look-controls', 'charts-help']) byId(id).hidden = isEmpty;
  }

  /** Selects a position in all charts; null for the latest one. */
  look(x: number | null): void {
    this.#selected = x;
    for (const chart of this.#all()) chart.look(x);
  }

  readonly #marks = (): { x: number; bad: boolean }[] => {
    const run = this.#run;
    if (!run) return [];
    return (
      run.history.happenings
        .filter(({ kind }) => kind === 'lost' || kind === 'recovered')
        .slice(-mostMarks)
        // A loss and the next generation may be at the same step.
        .sort((a, b) => Number(a.kind === 'lost') - Number(b.kind === 'lost'))
        .map((happening) => ({ x: this.axis.position(run, happening), bad: happening.kind === 'lost' }))
    );
  };

  #all(): Chart[] {
    return [
      this.#loss,
      ...this.#metrics.values(),
      ...this.#scalars.values(),
      this.#rate,
      this.#parts,
      this.#learningRate,
      this.#cores,
      this.#memory,
    ];
  }

  /** @param group distinguishes charts with the same title in the address */
  #chart(options: Pick<ChartOptions, 'title' | 'unit' | 'format' | 'bounds' | 'stacked'>, group = ''): Chart {
    const keyOf = (line: string): string => `${group}${options.title}/${line}`;
    return new Chart({
      ...options,
      marks: this.#marks,
      hovered: (x) => {
        for (const chart of this.#all()) chart.look(x ?? this.#selected);
      },
      isHidden: (line) => this.#address.settings.hidden.includes(keyOf(line)),
      toggled: (line) => {
        const { hidden } = this.#address.settings;
        const others = hidden.filter((key) => key !== keyOf(line));
        this.#address.change({
          hidden: others.length < hidden.length ? others : [...hidden, keyOf(line)],
        });
      },
    });
  }

  #metricChart(metric: string): Chart {
    const held = this.#metrics.get(metric);
    if (held) return held;
    const bounds = metricBounds(metric);
    const chart = this.#chart({
      title: metricTitle(metric),
      format: metricFigure(metric),
      ...(bounds ? { bounds } : {}),
    });
    this.#metrics.set(metric, chart);
    // The values of callbacks follow the metrics, as in `#all`.
    const [next = this.#rate] = this.#scalars.values();
    next.element.before(chart.element);
    return chart;
  }

  #scalarChart(name: string): Chart {
    const held = this.#scalars.get(name);
    if (held) return held;
    const chart = this.#chart({ title: name, unit: 'logged by a callback' }, 'own:');
    this.#scalars.set(name, chart);
    this.#rate.element.before(chart.element);
    return chart;
  }
}

/** One line per rank of the displayed run. */
function usageLines(run: RunData, axis: RunAxis, column: string, scale: number): Line[] {
  return [...run.usage].map(([rank, points]) => ({
    key: `rank ${rank}`,
    name: `rank ${rank}`,
    colour: `c${rank % 8}`,
    pattern: 'solid',
    x: axis.positions(run, points),
    y: points.column(column).map((value) => (value === null ? null : value * scale)),
  }));
}

function metricsOf(runs: readonly RunData[]): string[] {
  return runs.flatMap(({ history, batchMetrics }) => [
    ...history.evaluations.flatMap(({ metrics }) => Object.keys(metrics)),
    ...batchMetrics.keys(),
  ]);
}
