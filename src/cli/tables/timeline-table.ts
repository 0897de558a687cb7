/** Formats the summary of a timeline as a table with one column per worker. */

import type { RunEvent } from '../../shared/runs/run-events.js';
import { stepParts, type StepPart } from '../../shared/timeline/step-parts.js';

const names: Readonly<Record<StepPart, string>> = {
  data: 'data',
  forward: 'forward',
  loss: 'loss',
  backward: 'backward',
  waitBatchNorm: 'waiting for BatchNorm',
  waitGradients: 'waiting for gradients',
  update: 'update',
  other: 'other',
};

type TimelineEvent = Extract<RunEvent, { event: 'timeline' }>;

/** Maximum number of workers in the table; the file contains all of them. */
const mostColumns = 8;

/** Returns the medians of each worker's steps. */
export function timelineRows(workers: TimelineEvent['workers']): readonly string[] {
  const shown = workers.slice(0, mostColumns);
  const row = (name: string, cells: readonly (string | number)[]): string =>
    `  ${name.padEnd(24)}${cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(1) : cell).padStart(10)).join('')}`;
  const more = workers.length > mostColumns ? ` (${workers.length - mostColumns} more in the file)` : '';
  return [
    `Milliseconds per step, medians of ${shown[0]?.steps ?? 0} steps${more}:`,
    row(
      '',
      shown.map(({ rank }) => `rank ${rank}`),
    ),
    ...stepParts.map((part) =>
      row(
        names[part],
        shown.map(({ parts }) => parts[part]),
      ),
    ),
    row(
      'step',
      shown.map(({ step }) => step),
    ),
    row(
      'collectives in flight',
      shown.map(({ inFlight }) => inFlight),
    ),
  ];
}

export function timelineTable({ workers, path }: TimelineEvent): readonly string[] {
  return [
    ...timelineRows(workers),
    `Timeline saved to ${path}; open it in ui.perfetto.dev or chrome://tracing.`,
  ];
}
