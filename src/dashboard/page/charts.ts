/** The page's charts and the lines of each run in them. */

import { stepParts, type StepPart } from '../../shared/timeline/step-parts.js';
import { Chart, type Line } from './chart.js';
import { byId } from './dom.js';
import { figure, metricFigure, metricTitle } from './format.js';
import type { RunData } from './run-data.js';

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

/** Lines of the runs that are compared with the displayed one. */
const otherColours = ['c1', 'c3', 'c4', 'c6', 'c5'];
const mostMarks = 100;

export class Charts {
  readonly #loss: Chart;
  readonly #learningRate: Chart;
  readonly #rate: Chart;
  readonly #parts: Chart;
  /** One chart per metric of the evaluations, by name. */
  readonly #metrics = new Map<string, Chart>();
  #run: RunData | undefined;

  constructor() {
    const marks = this.#marks;
    this.#loss = new Chart({ title: 'Loss', marks });
    this.#rate = new Chart({ title: 'Images per second', format: figure, marks });
    this.#parts = new Chart({
      title: 'Time of a step by part',
      unit: 'milliseconds',
      stacked: true,
      marks,
    });
    this.#learningRate = new Chart({ title: 'Learning rate', marks });
    byId('charts').append(...this.#all().map(({ element }) => element));
    const log = byId<HTMLInputElement>('log-scale');
    log.addEventListener('change', () => (this.#loss.log = log.checked));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
      for (const chart of this.#all()) chart.repaint();
    });
  }

  readonly #marks = (): { step: number; bad: boolean }[] =>
    (this.#run?.history.happenings ?? [])
      .filter(({ kind }) => kind === 'lost' || kind === 'recovered')
      .slice(-mostMarks)
      // A loss and the next generation may be at the same step.
      .sort((a, b) => Number(a.kind === 'lost') - Number(b.kind === 'lost'))
      .map(({ step, kind }) => ({ step, bad: kind === 'lost' }));

  #all(): Chart[] {
    return [this.#loss, ...this.#metrics.values(), this.#rate, this.#parts, this.#learningRate];
  }

  show(run: RunData, others: readonly RunData[]): void {
    this.#run = run;
    const colourOf = (i: number): string => otherColours[i % otherColours.length] ?? 'c7';
    const over = (column: string): Line[] =>
      others.map((other, i) => ({
        name: other.name,
        colour: colourOf(i),
        dashed: true,
        x: other.steps.x,
        y: other.steps.column(column),
      }));
    const own = (column: string): Line => ({
      name: others.length > 0 ? run.name : 'this run',
      colour: 'c0',
      x: run.steps.x,
      y: run.steps.column(column),
    });
    const range = { low: run.steps.column('lossMin'), high: run.steps.column('lossMax') };
    const evaluated = (value: (evaluation: Evaluation) => number | null): Line[] =>
      [
        evaluations(run, 'test', 'test set', 'c2', value),
        evaluations(run, 'train', 'training set', 'c7', value),
        ...others.map((other, i) => ({
          ...evaluations(other, 'test', `${other.name}, test set`, colourOf(i), value),
          dashed: true,
        })),
      ].filter(({ x }) => x.length > 0);
    this.#loss.show([{ ...own('loss'), ...range }, ...over('loss'), ...evaluated(({ loss }) => loss)]);
    this.#learningRate.show([own('learningRate'), ...over('learningRate')]);
    this.#rate.show([own('imagesPerSecond'), ...over('imagesPerSecond')]);
    for (const metric of metricsOf([run, ...others]))
      this.#metricChart(metric).show(evaluated(({ metrics }) => metrics[metric] ?? null));
    this.#parts.show(
      stepParts.map((part, i) => ({
        name: partNames[part],
        colour: `c${i}`,
        x: run.parts.x,
        y: run.parts.column(part),
      })),
    );
  }

  look(step: number | null): void {
    for (const chart of this.#all()) chart.look(step);
  }

  #metricChart(metric: string): Chart {
    const held = this.#metrics.get(metric);
    if (held) return held;
    const chart = new Chart({ title: metricTitle(metric), format: metricFigure(metric), marks: this.#marks });
    this.#metrics.set(metric, chart);
    this.#rate.element.before(chart.element);
    return chart;
  }
}

type Evaluation = RunData['history']['evaluations'][number];

function metricsOf(runs: readonly RunData[]): Set<string> {
  return new Set(
    runs.flatMap(({ history }) => history.evaluations.flatMap(({ metrics }) => Object.keys(metrics))),
  );
}

function evaluations(
  run: RunData,
  split: 'test' | 'train',
  name: string,
  paint: string,
  value: (evaluation: Evaluation) => number | null,
): Line {
  const held = run.history.evaluations.filter((one) => one.split === split);
  return {
    name,
    colour: paint,
    dots: true,
    x: held.map(({ step }) => step),
    y: held.map(value),
  };
}
