/** The data of a run that a page receives: plain data of bounded size. */

import type { ConfusionCell } from '../../shared/evaluation/confusion.js';
import type { ModelLayer } from '../../shared/model/model-layer.js';
import type { Histogram } from '../../shared/runs/histogram.js';
import type { RunEvent, TimedEvent, WorkerStatus } from '../../shared/runs/run-events.js';
import type { SeriesCursor, SeriesPart } from './series.js';

export type EventOf<Name extends RunEvent['event']> = Extract<TimedEvent, { event: Name }>;

/** An entry of the list of events. */
export interface Happening {
  readonly timeMs: number;
  readonly step: number;
  readonly kind: 'joined' | 'lost' | 'left' | 'recovered' | 'checkpoint' | 'warning' | 'error' | 'run';
  readonly text: string;
}

/** A worker process from its join to its end. */
export interface Life {
  readonly rank: number | null;
  readonly pid: number;
  readonly host: string;
  readonly fromMs: number;
  readonly toMs: number | null;
  readonly end: 'lost' | 'left' | null;
}

export interface RunState {
  readonly run: EventOf<'run'> | null;
  readonly start: EventOf<'start'> | null;
  readonly step: EventOf<'step'> | null;
  readonly phase: string;
  readonly generation: number;
  readonly refused: number;
  readonly workers: readonly WorkerStatus[];
  readonly end: EventOf<'done'> | EventOf<'error'> | null;
  /** Effective training time ratio, from 0 to 1; null before the first step. */
  readonly ettr: number | null;
  readonly firstMs: number;
  readonly lastMs: number;
  /** The last step with histograms; null without them. */
  readonly histogramStep: number | null;
}

/** Data that changes rarely. */
export interface RunHistory {
  readonly evaluations: readonly EventOf<'eval'>[];
  readonly happenings: readonly Happening[];
  readonly lives: readonly Life[];
}

/** Result of the last evaluation on the test set. */
export type ShownMisclassified = Omit<EventOf<'misclassified'>, 'rank' | 'event' | 'timeMs'>;

/** Predictions of the last evaluation on the test set, by label and predicted class. */
export interface ShownConfusion {
  readonly step: number;
  readonly classes: readonly string[];
  readonly cells: readonly ConfusionCell[];
}

/** The use of CPU and memory by the process of a rank. Columns: `cores`, `memoryBytes` and `seconds`; x is the step. */
export interface RankUsage {
  readonly rank: number;
  readonly part: SeriesPart;
}

/** Values by name. Columns: `value` and `seconds`; x is the step. */
export interface NamedParts {
  readonly parts: readonly { readonly name: string; readonly part: SeriesPart }[];
  /** Number of names that are not kept, because there are too many. */
  readonly omitted: number;
}

export type CursorsByName = Readonly<Record<string, SeriesCursor>>;

/** Changes since a cursor; a part without changes is null. */
export interface RunUpdate {
  readonly state: RunState | null;
  readonly history: RunHistory | null;
  readonly misclassified: ShownMisclassified | null;
  readonly confusion: ShownConfusion | null;
  readonly steps: SeriesPart | null;
  /** Milliseconds of a step by part, as the mean over the workers; x is the step. Each series has the seconds since the first event. */
  readonly parts: SeriesPart | null;
  readonly usage: readonly RankUsage[] | null;
  /** Metrics of the batches of training, with `trainMetrics`. */
  readonly batchMetrics: NamedParts | null;
  /** The values that callbacks logged. */
  readonly scalars: NamedParts | null;
  /** The model's layers in order of computation. */
  readonly layers: readonly ModelLayer[] | null;
  readonly cursor: RunCursor;
}

export interface RunCursor {
  readonly version: number;
  readonly historyVersion: number;
  readonly mistakeVersion: number;
  readonly steps: SeriesCursor;
  readonly stepCount: number;
  readonly parts: SeriesCursor;
  readonly partCount: number;
  readonly usageCount: number;
  /** By rank. */
  readonly usage: Readonly<Record<number, SeriesCursor>>;
  readonly batchMetrics: CursorsByName;
  readonly batchMetricCount: number;
  readonly scalars: CursorsByName;
  readonly scalarCount: number;
  readonly layerVersion: number;
}

/** The histograms of one tensor over the steps. */
export interface TensorHistograms {
  readonly kind: 'weights' | 'gradients';
  readonly name: string;
  readonly entries: readonly { readonly step: number; readonly histogram: Histogram }[];
}

/** The answer to a request for the histograms of a run. */
export interface HistogramsAnswer {
  /** All tensors with histograms, by name with their kinds, e.g. `weights/dense/kernel`. */
  readonly names: readonly string[];
  /** The requested tensor, else the first one; null if there is none. */
  readonly shown: TensorHistograms | null;
}
