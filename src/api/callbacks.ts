/**
 * Callbacks of a training definition. They run in a single process of the run (`lockstep train`, or the coordinator under pm2) and
 * never in a worker. They therefore have no access to weights, do not delay a step, and cannot make workers differ. Decisions about
 * the training (learning rate, early stopping) are made by the configuration, which all workers share.
 */

import type { RunEvent } from '../shared/runs/run-events.js';

type EventOf<Name extends RunEvent['event']> = Extract<RunEvent, { event: Name }>;

export interface EpochEnd {
  /** Counts from 1. */
  readonly epoch: number;
  /** Last step of the epoch, counted from the beginning of the run. */
  readonly step: number;
  /** Mean over the epoch's steps; in a resumed run over the steps since the checkpoint. */
  readonly loss: number;
  readonly learningRate: number;
}

/** Passed to each callback of a running training. */
export interface CallbackTools {
  /**
   * Logs values of the caller's own, such as `log({ 'my/metric': 0.5 })`, for the event's step or another one. They become events of the
   * run (`scalars`), charts of TensorBoard and of the dashboard, and values of the run's log.
   * @throws TypeError for a name that is not 1 to 64 letters, digits, dots, dashes or slashes, or a value that is not a finite number
   */
  readonly log: (values: Readonly<Record<string, number>>, step?: number) => void;
}

/**
 * Functions called in the order of the events, each after the previous call has resolved. A function that throws is reported with
 * one warning and not called again; training continues.
 */
export interface Callbacks {
  readonly onStep?: (step: EventOf<'step'>, tools: CallbackTools) => void | Promise<void>;
  /** After the epoch's last step, before its evaluation. */
  readonly onEpochEnd?: (epoch: EpochEnd, tools: CallbackTools) => void | Promise<void>;
  readonly onEvaluation?: (evaluation: EventOf<'eval'>, tools: CallbackTools) => void | Promise<void>;
  readonly onCheckpoint?: (checkpoint: EventOf<'checkpoint'>, tools: CallbackTools) => void | Promise<void>;
  /** The run's log is complete by then, so that this callback can't log. */
  readonly onEnd?: (end: EventOf<'done'> | EventOf<'error'>) => void | Promise<void>;
}
