/**
 * The lines of runs in the charts. If runs are compared, a colour is a run, else a kind of value. The pattern is always the kind:
 * solid for the batches of training, dashed for the test set, and dotted for the training set.
 */

import type { Line, Pattern } from './chart/line.js';
import { smoothed } from './chart/smoothing.js';
import type { Points, RunData } from './run-data.js';
import type { RunAxis } from './x-axis.js';

/** Colours of the runs that are compared with the displayed one. */
const otherColours = ['c1', 'c3', 'c4', 'c6', 'c2', 'c5', 'c7'];

/** Lines with at most this number of points are drawn with dots. */
const maxDots = 20;

type Evaluation = RunData['history']['evaluations'][number];
export type EvaluationValue = (evaluation: Evaluation) => number | null | undefined;

interface Split {
  readonly name: 'test' | 'train';
  readonly title: string;
  readonly pattern: Pattern;
  /** Colour if no runs are compared. */
  readonly colour: string;
}

const splits: readonly Split[] = [
  { name: 'test', title: 'test set', pattern: 'dashed', colour: 'c2' },
  { name: 'train', title: 'training set', pattern: 'dotted', colour: 'c3' },
];

interface ShownRun {
  readonly run: RunData;
  readonly colour: string;
}

export class RunLines {
  readonly #runs: readonly ShownRun[];
  readonly #axis: RunAxis;
  readonly #smoothing: number;

  /** @param smoothing weight of the previous values in the lines over steps */
  constructor(run: RunData, others: readonly RunData[], axis: RunAxis, smoothing: number) {
    const compared = others.map((other, i) => ({ run: other, colour: otherColours[i] ?? 'c7' }));
    this.#runs = [{ run, colour: 'c0' }, ...compared];
    this.#axis = axis;
    this.#smoothing = smoothing;
  }

  /** One line per run over its steps. @param range columns with the smallest and largest values, drawn for the displayed run unless it is smoothed */
  steps(column: string, range?: readonly [low: string, high: string]): Line[] {
    return this.#runs.map(({ run, colour }, i): Line => {
      const { steps } = run;
      const x = this.#axis.positions(run, steps);
      const line = { key: this.#key(run, 'steps'), name: this.#compares ? run.name : 'this run', colour, x };
      const raw = steps.column(column);
      if (this.#smoothing > 0) return { ...line, pattern: 'solid', y: smoothed(raw, this.#smoothing), raw };
      const [low, high] = i === 0 && range ? range.map((name) => steps.column(name)) : [];
      return { ...line, pattern: 'solid', y: raw, ...(low && high ? { low, high } : {}) };
    });
  }

  /**
   * One line per run that has values of its own over some of its steps.
   * @param kind identifies the kind of line in the chart
   * @param title name of the line if no runs are compared
   */
  values(pointsOf: (run: RunData) => Points | undefined, kind: string, title: string): Line[] {
    return this.#runs.flatMap(({ run, colour }): Line[] => {
      const points = pointsOf(run);
      if (!points) return [];
      const line: Omit<Line, 'y'> = {
        key: this.#key(run, kind),
        name: this.#compares ? run.name : title,
        colour,
        pattern: 'solid',
        // A line of few points would be invisible where they are alone.
        dots: points.x.length <= maxDots,
        x: this.#axis.positions(run, points),
      };
      const raw = points.column('value');
      return this.#smoothing > 0
        ? [{ ...line, y: smoothed(raw, this.#smoothing), raw }]
        : [{ ...line, y: raw }];
    });
  }

  /** The evaluations of each run on the test set, and of those with one also on the training set. */
  evaluations(value: EvaluationValue): Line[] {
    return this.#runs.flatMap(({ run, colour }) =>
      splits.map((split): Line => {
        const held = run.history.evaluations.filter(
          (evaluation) =>
            evaluation.split === split.name && Number.isFinite(this.#axis.position(run, evaluation)),
        );
        return {
          key: this.#key(run, split.name),
          name: this.#compares ? `${run.name}, ${split.title}` : split.title,
          colour: this.#compares ? colour : split.colour,
          pattern: split.pattern,
          dots: true,
          x: held.map((evaluation) => this.#axis.position(run, evaluation)),
          y: held.map((evaluation) => value(evaluation) ?? null),
        };
      }),
    );
  }

  get #compares(): boolean {
    return this.#runs.length > 1;
  }

  /** The displayed run's lines keep their identity when another run is displayed. */
  #key(run: RunData, kind: string): string {
    return run === this.#runs[0]?.run ? kind : `${run.name}:${kind}`;
  }
}
