/** The learning rate of each step: a function of the config, the step's place in the run, and what evaluations have decided. */

import { exactMath } from '../../shared/arithmetic/exact-math.js';
import type { RunConfig, WarmupConfig } from '../../shared/config/run-config.js';

export type RateConfig = Pick<RunConfig, 'optimizer' | 'schedule' | 'warmup' | 'epochs'>;

/** A step's place in the run. */
export interface StepPlace {
  /** Counts from 1 over the whole run. */
  readonly step: number;
  /** Counts from 0. */
  readonly epoch: number;
  readonly stepsPerEpoch: number;
}

/** @param reduced the rate that evaluations have left, for `plateau` */
export function learningRateAt(config: RateConfig, place: StepPlace, reduced: number): number {
  const { warmup } = config;
  const rise = warmupSteps(warmup, place.stepsPerEpoch);
  const done = place.step - 1;
  if (warmup !== null && done < rise) {
    const { from } = warmup;
    return scheduled(config, { ...place, step: 1 }, rise, reduced) * (from + (1 - from) * (done / rise));
  }
  return scheduled(config, { ...place, step: place.step - rise }, rise, reduced);
}

/** Steps of the warm-up. */
function warmupSteps(warmup: WarmupConfig | null, stepsPerEpoch: number): number {
  if (warmup === null) return 0;
  return warmup.steps ?? Math.max(1, Math.round((warmup.epochs ?? 0) * stepsPerEpoch));
}

/** `place.step` counts from the end of the warm-up, which took `before` steps. */
function scheduled(config: RateConfig, place: StepPlace, before: number, reduced: number): number {
  const { schedule, epochs } = config;
  const rate = config.optimizer.learningRate;
  const done = place.step - 1;
  /** Of the whole run, whatever `maxSteps` makes of it. */
  const steps = Math.max(1, epochs * place.stepsPerEpoch - before);
  switch (schedule.kind) {
    case 'constant':
      return rate;
    case 'step':
      return rate * exactMath.pow(schedule.gamma, Math.floor(place.epoch / schedule.stepSize));
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

/** From 1 at 0 to 0 at 1. */
const cosine = (part: number): number => (1 + exactMath.cos(Math.PI * part)) / 2;

const between = (low: number, high: number, part: number): number => low + (high - low) * part;
