/**
 * The events of a run, as `--json` prints them and `events.ndjson` keeps them: one JSON object a line. Other programs
 * build on these; fields are added, never changed.
 */

import type { ResolvedConfig } from '../config/run-config.js';
import type { ConfusionReport } from '../evaluation/confusion.js';
import type { NamedHistogram } from './histogram.js';
import type { ModelLayer } from '../model/model-layer.js';
import type { MisclassifiedSample, Picture } from '../evaluation/misclassified.js';
import type { PartTimes } from '../timeline/step-parts.js';
import type { StepTimes } from '../timeline/summary.js';

export interface WorkerStatus {
  /** Null: not a member of the current generation. */
  readonly rank: number | null;
  readonly pid: number;
  readonly host: string;
  /** Empty while it loads. */
  readonly device: string;
  readonly state: 'loading' | 'ready' | 'training';
  /** How many of the run's shards it computes. */
  readonly shards: number;
  readonly step: number;
  /** Milliseconds of its mean step since the last status; null: there was none. */
  readonly parts: PartTimes | null;
}

export type RunEvent =
  | { event: 'run'; runId: string; config: ResolvedConfig; out: string | null }
  /** The process that coordinates: the first, or a successor. */
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
      /** Since the step before, or since training went on. */
      seconds: number;
      samples: number;
    }
  /** About once a second: who is there, and where the time goes. */
  | {
      event: 'status';
      phase: string;
      generation: number;
      step: number;
      /** Messages and frames that were refused so far. */
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
  | { event: 'checkpoint'; step: number; path: string }
  /** Training goes on after this step of an earlier run; `skipped`: newer checkpoints that don't verify, and why. */
  | { event: 'resumed'; step: number; path: string; skipped: readonly string[] }
  /**
   * After that step. Epochs count from 1; both are 0 when a saved model is evaluated. How classes are confused only `lockstep eval`
   * says, where classes are told apart.
   */
  | ({
      event: 'eval';
      split: 'test' | 'train';
      epoch: number;
      step: number;
      loss: number;
      /** Means over the split, by name. */
      metrics: Readonly<Record<string, number>>;
      /** Only where `accuracy` is one of the metrics. */
      accuracy?: number;
      correct?: number;
      count: number;
    } & Partial<ConfusionReport>)
  /** What a worker's part of an evaluation got wrong: a few samples, those that it was surest of. */
  | {
      event: 'misclassified';
      split: 'test' | 'train';
      epoch: number;
      step: number;
      rank: number;
      samples: readonly MisclassifiedSample[];
      picture: Picture | null;
    }
  /** What the model is made of, in order of computation; again when another process becomes rank 0. */
  | { event: 'model'; layers: readonly ModelLayer[] }
  /** With `--histogram-every`: how weights and gradients are spread after that step. A big model's come in several events. */
  | { event: 'histograms'; step: number; histograms: readonly NamedHistogram[] }
  /** With `--trace`: where the milliseconds of a worker's median step go. */
  | { event: 'timeline'; path: string; workers: readonly (StepTimes & { rank: number })[] }
  /** Where `--dashboard` can be seen; without its token. */
  | { event: 'dashboard'; url: string }
  | { event: 'saved'; path: string }
  | { event: 'done'; steps: number; seconds: number; imagesPerSecond: number; weightsSha256: string }
  | { event: 'warning'; message: string }
  | { event: 'error'; code: string; message: string };

/** As it is logged and printed: with the moment, in milliseconds since 1970. */
export type TimedEvent = RunEvent & { readonly timeMs: number };

/** The event of an evaluation, whoever made it. */
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
