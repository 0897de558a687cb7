/**
 * The events of a run, as `--json` prints them and `events.ndjson` stores them: one JSON object per line. Other programs
 * depend on them.
 */

import type { ResolvedConfig } from '../config/run-config.js';
import type { ConfusionCell, ConfusionReport } from '../evaluation/confusion.js';
import type { NamedHistogram } from './histogram.js';
import type { ModelLayer } from '../model/model-layer.js';
import type { MisclassifiedSample, Picture } from '../evaluation/misclassified.js';
import type { PartTimes } from '../timeline/step-parts.js';
import type { StepTimes } from '../timeline/summary.js';

export interface WorkerStatus {
  /** Null if the worker is not a member of the current generation. */
  readonly rank: number | null;
  readonly pid: number;
  readonly host: string;
  /** Empty while the worker loads. */
  readonly device: string;
  readonly state: 'loading' | 'ready' | 'training';
  /** Number of shards that the worker owns. */
  readonly shards: number;
  readonly step: number;
  /** Milliseconds of the parts of its mean step since the last status; null if it committed none. */
  readonly parts: PartTimes | null;
  /** CPU and memory of its process; absent until they are known. */
  readonly usage?: WorkerUsage;
}

export interface WorkerUsage {
  /** Mean number of busy cores since the last status; null until measured. */
  readonly cores: number | null;
  /** Resident memory. */
  readonly memoryBytes: number;
}

export type RunEvent =
  | { event: 'run'; runId: string; config: ResolvedConfig; out: string | null }
  /** Emitted when a process starts to coordinate the run: the first one, or one that takes over. */
  | { event: 'coordinator'; pid: number }
  | {
      event: 'worker';
      state: 'joined' | 'lost' | 'left';
      rank: number | null;
      pid: number;
      host: string;
      device: string;
      engine: string;
      generation: number;
      reason?: string;
    }
  | {
      event: 'start';
      epochs: number;
      steps: number;
      stepsPerEpoch: number;
      parameters: number;
      dataSha256: string;
    }
  | {
      event: 'step';
      epoch: number;
      step: number;
      loss: number;
      learningRate: number;
      imagesPerSecond: number;
      /** Seconds since the previous step. The first step of a generation: seconds of the step itself. */
      seconds: number;
      samples: number;
      /** Means over the batch, before the update; with `trainMetrics` only. */
      metrics?: Readonly<Record<string, number>>;
    }
  /** Once per `statusMs` (1 s by default): the workers, and the parts of their time. */
  | {
      event: 'status';
      phase: string;
      generation: number;
      step: number;
      /** Number of messages and frames refused so far. */
      refused: number;
      workers: readonly WorkerStatus[];
    }
  /**
   * Another generation goes on after `step`; `seconds` since the end of the one before. `reason`: somebody came or went, or the
   * shards are dealt anew (`--balance`). Each worker owns the shards from `start` up to `end`; `shardMs` is its own time for
   * one, where that was measured.
   */
  | {
      event: 'generation';
      generation: number;
      step: number;
      seconds: number;
      reason: 'membership' | 'balance';
      workers: readonly {
        rank: number;
        pid: number;
        host: string;
        shards: { start: number; end: number };
        shardMs: number | null;
      }[];
    }
  | { event: 'checkpoint'; step: number; path: string; seconds?: number }
  /** Training continues after this step of an earlier run. `skipped` lists newer checkpoints that do not verify, with reasons. */
  | { event: 'resumed'; step: number; path: string; skipped: readonly string[] }
  /** A field that differs from the checkpoint's, e.g. `optimizer.learningRate`; the new value is in force after `step`. */
  | { event: 'changed'; step: number; field: string; before: unknown; now: unknown }
  /**
   * An evaluation after `step`. Epochs count from 1; both are 0 if a saved model is evaluated. Only `lockstep eval` of a
   * classifier adds the confusion matrix.
   */
  | ({
      event: 'eval';
      split: 'test' | 'train';
      epoch: number;
      step: number;
      loss: number;
      /** Mean over the split, by the metric's name. */
      metrics: Readonly<Record<string, number>>;
      /** Present if `accuracy` is one of the metrics. */
      accuracy?: number;
      correct?: number;
      count: number;
    } & Partial<ConfusionReport>)
  /** Misclassified samples of a worker's part of an evaluation: a few, those with the highest confidence. */
  | {
      event: 'misclassified';
      split: 'test' | 'train';
      epoch: number;
      step: number;
      rank: number;
      samples: readonly MisclassifiedSample[];
      picture: Picture | null;
    }
  /**
   * Predictions of a worker's part of an evaluation of a classifier with at most 100 classes, counted by label and predicted class.
   * The events of a step's last generation add up to the confusion matrix.
   */
  | {
      event: 'confusion';
      split: 'test' | 'train';
      epoch: number;
      step: number;
      rank: number;
      generation: number;
      /** Names of the classes, in order of class number. */
      classes: readonly string[];
      cells: readonly ConfusionCell[];
    }
  /** The model's layers in order of computation; repeated when another process becomes rank 0. */
  | { event: 'model'; layers: readonly ModelLayer[] }
  /** With `--histogram-every`, histograms of weights and gradients after that step. A large model has several events. */
  | { event: 'histograms'; step: number; histograms: readonly NamedHistogram[] }
  /** Values that a callback of the definition logged for a step, by name. */
  | { event: 'scalars'; step: number; values: Readonly<Record<string, number>> }
  /** With `--trace`, the parts of each worker's median step. */
  | { event: 'timeline'; path: string; workers: readonly (StepTimes & { rank: number })[] }
  /** The address of `--dashboard`, without its token. */
  | { event: 'dashboard'; url: string }
  | { event: 'saved'; path: string }
  | { event: 'done'; steps: number; seconds: number; imagesPerSecond: number; weightsSha256: string }
  | { event: 'warning'; message: string }
  /**
   * Only in a log or on stdout: `lines` events are missing here, the first of them since `fromMs`. The line before it may be incomplete.
   * With 0 lines, that line is repeated after the gap. `fromMs` is null if an earlier process left the incomplete line.
   */
  | { event: 'gap'; lines: number; fromMs: number | null }
  | { event: 'error'; code: string; message: string };

/** An event as it is logged and printed, with its time in milliseconds since 1970. */
export type TimedEvent = RunEvent & { readonly timeMs: number };

/** Builds the event of an evaluation. */
export function evaluationEvent({
  correct,
  ...result
}: {
  readonly split: 'test' | 'train';
  readonly epoch: number;
  readonly step: number;
  readonly loss: number;
  readonly metrics: Readonly<Record<string, number>>;
  readonly correct: number | null;
  readonly count: number;
}): Extract<RunEvent, { event: 'eval' }> {
  const classified = correct === null ? {} : { accuracy: correct / result.count, correct };
  return { event: 'eval', ...result, ...classified };
}
