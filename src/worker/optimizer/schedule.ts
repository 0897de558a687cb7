/** The learning rate of each step, a function of the configuration, the step and the scheduler state. */

import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { RunConfig, WarmupConfig } from '../../shared/config/run-config.js';

export type RateConfig = Pick<RunConfig, 'optimizer' | 'schedule' | 'warmup' | 'epochs'>;

/** The position of a step in the run. */
export interface StepPosition {
  /** Counts from 1 over the whole run. */
  readonly step: number;
  /** Counts from 0. */
  readonly epoch: number;
  readonly stepsPerEpoch: number;
}

/** @param reduced the learning rate after all reductions; used by the `plateau` schedule only */
export function learningRateAt(config: RateConfig, position: StepPosition, reduced: number): number {
  const { warmup } = config;
  const rise = warmupSteps(warmup, position.stepsPerEpoch);
  const done = position.step - 1;
  if (warmup !== null && done < rise) {
    const { from } = warmup;
    return scheduled(config, { ...position, step: 1 }, rise, reduced) * (from + (1 - from) * (done / rise));
  }
  return scheduled(config, { ...position, step: position.step - rise }, rise, reduced);
}

/** Number of warm-up steps. */
function warmupSteps(warmup: WarmupConfig | null, stepsPerEpoch: number): number {
  if (warmup === null) return 0;
  return warmup.steps ?? Math.max(1, Math.round((warmup.epochs ?? 0) * stepsPerEpoch));
}

/** `position.step` counts from the end of the warm-up, which took `before` steps. */
function scheduled(config: RateConfig, position: StepPosition, before: number, reduced: number): number {
  const { schedule, epochs } = config;
  const rate = config.optimizer.learningRate;
  const done = position.step - 1;
  /** Steps of all epochs after the warm-up; does not depend on `maxSteps`. */
  const steps = Math.max(1, epochs * position.stepsPerEpoch - before);
  switch (schedule.kind) {
    case 'constant':
      return rate;
    case 'step':
      return rate * exactMath.pow(schedule.gamma, Math.floor(position.epoch / schedule.stepSize));
    case 'cosine':
      return between(schedule.minimum, rate, cosine(Math.min(1, done / steps)));
    case 'plateau':
      return reduced;
    case 'oneCycle': {
      const { rise, startDivisor, endDivisor, anneal } = schedule;
      const curve = anneal === 'cosine' ? cosine : (part: number): number => 1 - part;
      const start = rate / startDivisor;
      const top = rise * steps - 1;
      if (done <= top) return between(rate, start, curve(top > 0 ? done / top : 1));
      return between(start / endDivisor, rate, curve(Math.min(1, (done - top) / (steps - 1 - top))));
    }
  }
}

/** Falls from 1 at 0 to 0 at 1. */
const cosine = (part: number): number => (1 + exactMath.cos(Math.PI * part)) / 2;

const between = (low: number, high: number, part: number): number => low + (high - low) * part;
