/** The three x axes of the charts: steps, time since the beginning of the run, and epochs. */

import type { AxisName } from './address.js';
import type { XAxis } from './chart/plot-options.js';
import { clockTime, figure, integer } from './format.js';
import type { Points, RunData } from './run-data.js';

export interface RunAxis extends XAxis {
  /** The positions of points, ascending; none if the run lacks the information. */
  positions(run: RunData, points: Points): readonly number[];
  /** The position of an event; NaN if the run lacks the information. */
  position(run: RunData, event: { readonly step: number; readonly timeMs: number }): number;
}

const [minute, hour, day] = [60, 3_600, 86_400];
/** Steps are whole numbers, and so are their labels. */
const stepIncrements = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((n) => n * 10 ** power)).flat();
const timeIncrements = [1, 2, 5, 10, 15, 30]
  .concat([1, 2, 5, 10, 15, 30].map((minutes) => minutes * minute))
  .concat([1, 2, 3, 6, 12].map((hours) => hours * hour))
  .concat([1, 2, 5, 10, 20, 50, 100].map((days) => days * day));

export const runAxes: Readonly<Record<AxisName, RunAxis>> = {
  step: {
    label: 'Step',
    format: integer,
    increments: stepIncrements,
    positions: (_, points) => points.x,
    position: (_, { step }) => step,
  },
  time: {
    label: 'Time',
    format: clockTime,
    increments: timeIncrements,
    positions: (_, points) => ascending(points.column('seconds')),
    position: ({ state }, { timeMs }) => (timeMs - (state?.firstMs ?? 0)) / 1000,
  },
  epoch: {
    label: 'Epoch',
    format: figure,
    positions: ({ state }, points) => {
      const stepsPerEpoch = state?.start?.stepsPerEpoch;
      return stepsPerEpoch === undefined ? [] : points.x.map((step) => step / stepsPerEpoch);
    },
    position: ({ state }, { step }) => step / (state?.start?.stepsPerEpoch ?? Number.NaN),
  },
};

/** A clock that is set back makes no line run backwards. */
function ascending(seconds: readonly (number | null)[]): number[] {
  let latest = 0;
  return seconds.map((value) => (latest = Math.max(latest, value ?? latest)));
}
