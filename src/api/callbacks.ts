/**
 * Callbacks of a training definition. They run once a run, in the process that shows it (`lockstep train`, or the coordinator under
 * pm2), and are told what the workers have agreed on; never in a worker. So they can't reach a weight, cost no step any time,
 * and can't make workers differ. What decides about the training (a rate, an early end) is config, which all workers share.
 */

import type { RunEvent } from '../shared/runs/run-events.js';

type EventOf<Name extends RunEvent['event']> = Extract<RunEvent, { event: Name }>;

export interface EpochEnd {
  /** Counts from 1. */
  readonly epoch: number;
  /** The epoch's last, of the whole run. */
  readonly step: number;
  /** Mean over the epoch's steps that were seen; a resumed epoch has fewer. */
  readonly loss: number;
  readonly learningRate: number;
}

/**
 * Called in the order of the events, each after the one before has resolved. One that throws is reported as a warning, once,
 * and is not called again; training goes on.
 */
export interface Callbacks {
  readonly onStep?: (step: EventOf<'step'>) => void | Promise<void>;
  /** After the epoch's last step, before its evaluation. */
  readonly onEpochEnd?: (epoch: EpochEnd) => void | Promise<void>;
  readonly onEvaluation?: (evaluation: EventOf<'eval'>) => void | Promise<void>;
  readonly onCheckpoint?: (checkpoint: EventOf<'checkpoint'>) => void | Promise<void>;
  readonly onEnd?: (end: EventOf<'done'> | EventOf<'error'>) => void | Promise<void>;
}
