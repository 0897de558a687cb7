/** The columns of the table of runs. */

import type { RunSummary } from '../../../shared/runs/run-list.js';
import { day, duration, figure, integer, percent } from '../format.js';

export type CellValue = string | number | null;

export interface RunColumn {
  /** Name in the page's address and in searches. */
  readonly key: string;
  readonly title: string;
  /** The value by which the runs are sorted and searched. */
  readonly value: (run: RunSummary) => CellValue;
  readonly show: (run: RunSummary) => string;
  readonly isText?: boolean;
}

const shown = (value: number | null, format: (value: number) => string): string =>
  value === null ? '–' : format(value);

export const runColumns: readonly RunColumn[] = [
  { key: 'run', title: 'Run', isText: true, value: ({ name }) => name, show: ({ name }) => name },
  {
    key: 'name',
    title: 'Name',
    isText: true,
    value: ({ config }) => config?.name ?? null,
    show: ({ config }) => config?.name ?? '–',
  },
  {
    key: 'startedMs',
    title: 'Started',
    isText: true,
    value: ({ startedMs }) => startedMs,
    show: ({ startedMs }) => day(startedMs),
  },
  {
    key: 'outcome',
    title: 'Outcome',
    isText: true,
    value: ({ outcome }) => outcome,
    show: ({ outcome }) => outcome,
  },
  {
    key: 'tags',
    title: 'Tags',
    isText: true,
    value: ({ tags }) => (tags.length === 0 ? null : tags.join(' ')),
    show: ({ tags }) => tags.join(', ') || '–',
  },
  {
    key: 'note',
    title: 'Note',
    isText: true,
    value: ({ note }) => note,
    show: ({ note }) => note ?? '–',
  },
  {
    key: 'workers',
    title: 'Workers',
    value: ({ config }) => config?.workers ?? null,
    show: ({ config }) => shown(config?.workers ?? null, integer),
  },
  {
    key: 'batchSize',
    title: 'Batch',
    value: ({ config }) => config?.batchSize ?? null,
    show: ({ config }) => shown(config?.batchSize ?? null, integer),
  },
  { key: 'steps', title: 'Steps', value: ({ steps }) => steps, show: ({ steps }) => integer(steps) },
  {
    key: 'testLoss',
    title: 'Test loss',
    value: ({ testLoss }) => testLoss,
    show: ({ testLoss }) => figure(testLoss),
  },
  {
    key: 'testAccuracy',
    title: 'Test accuracy',
    value: ({ testAccuracy }) => testAccuracy,
    show: ({ testAccuracy }) => percent(testAccuracy),
  },
  {
    key: 'imagesPerSecond',
    title: 'Images/s',
    value: ({ imagesPerSecond }) => imagesPerSecond,
    show: ({ imagesPerSecond }) => shown(imagesPerSecond, integer),
  },
  {
    key: 'seconds',
    title: 'Took',
    value: ({ seconds }) => seconds,
    show: ({ seconds }) => shown(seconds, duration),
  },
  { key: 'ettr', title: 'ETTR', value: ({ ettr }) => ettr, show: ({ ettr }) => percent(ettr) },
];
