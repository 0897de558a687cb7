/**
 * Decisions that follow from evaluations: reduce the rate on a plateau (torch.optim.lr_scheduler.ReduceLROnPlateau), and stop
 * early. Pure arithmetic over a few numbers that every worker holds and that travel with the state; an evaluation has the same
 * bits on every worker, so all decide alike.
 */

import type { EarlyStoppingConfig, RunConfig, ScheduleConfig } from '../../shared/config/run-config.js';

type Plateau = Extract<ScheduleConfig, { kind: 'plateau' }>;
type DecisionConfig = Pick<RunConfig, 'optimizer' | 'schedule' | 'earlyStopping'>;

/** By name; part of the training state. */
export type SchedulerState = Map<string, number>;

/** A rate that changes by less is left alone, as PyTorch does. */
const smallestChange = 1e-8;

/** Whether anything depends on evaluations, so that each must be judged by every worker. */
export function dependsOnEvaluation({ schedule, earlyStopping }: Omit<DecisionConfig, 'optimizer'>): boolean {
  return schedule.kind === 'plateau' || earlyStopping !== null;
}

export function initialSchedulerState(config: DecisionConfig): SchedulerState {
  const { schedule, earlyStopping, optimizer } = config;
  const numbers: SchedulerState = new Map();
  if (dependsOnEvaluation(config)) numbers.set('judged', 0);
  if (schedule.kind === 'plateau') {
    numbers.set('plateau.rate', optimizer.learningRate);
    numbers.set('plateau.best', worst(schedule));
    numbers.set('plateau.bad', 0);
    numbers.set('plateau.cooldown', 0);
  }
  if (earlyStopping) {
    numbers.set('stopping.best', worst(earlyStopping));
    numbers.set('stopping.bad', 0);
  }
  return numbers;
}

/** Of the run's rate; what `learningRateAt` wants to know. */
export function reducedRate(numbers: SchedulerState): number {
  return numbers.get('plateau.rate') ?? 0;
}

export function hasStopped(
  { earlyStopping }: Pick<RunConfig, 'earlyStopping'>,
  numbers: SchedulerState,
): boolean {
  return earlyStopping !== null && (numbers.get('stopping.bad') ?? 0) > earlyStopping.patience;
}

/**
 * Takes the evaluation after `step` into account, once: a generation that begins anew repeats it.
 * @param results the test set's loss and metrics by name
 */
export function onEvaluation(
  config: DecisionConfig,
  numbers: SchedulerState,
  step: number,
  results: Readonly<Record<string, number>>,
): void {
  if (step <= (numbers.get('judged') ?? 0)) return;
  numbers.set('judged', step);
  const { schedule, earlyStopping } = config;
  if (schedule.kind === 'plateau') reduce(schedule, numbers, results);
  if (earlyStopping) compare(earlyStopping, numbers, 'stopping', results);
}

function reduce(plateau: Plateau, numbers: SchedulerState, results: Readonly<Record<string, number>>): void {
  compare(plateau, numbers, 'plateau', results);
  const cooldown = numbers.get('plateau.cooldown') ?? 0;
  if (cooldown > 0) {
    numbers.set('plateau.cooldown', cooldown - 1);
    numbers.set('plateau.bad', 0);
  }
  if ((numbers.get('plateau.bad') ?? 0) <= plateau.patience) return;
  const rate = reducedRate(numbers);
  const next = Math.max(rate * plateau.factor, plateau.minimum);
  if (rate - next > smallestChange) numbers.set('plateau.rate', next);
  numbers.set('plateau.cooldown', plateau.cooldown);
  numbers.set('plateau.bad', 0);
}

/** Keeps the best so far, and counts the evaluations since. */
function compare(
  rules: Plateau | EarlyStoppingConfig,
  numbers: SchedulerState,
  prefix: string,
  results: Readonly<Record<string, number>>,
): void {
  const value = results[rules.metric] ?? Number.NaN;
  if (isBetter(rules, value, numbers.get(`${prefix}.best`) ?? worst(rules))) {
    numbers.set(`${prefix}.best`, value);
    numbers.set(`${prefix}.bad`, 0);
  } else {
    numbers.set(`${prefix}.bad`, (numbers.get(`${prefix}.bad`) ?? 0) + 1);
  }
}

function isBetter(
  { mode, threshold, thresholdMode }: Plateau | EarlyStoppingConfig,
  value: number,
  best: number,
): boolean {
  if (thresholdMode === 'absolute')
    return mode === 'min' ? value < best - threshold : value > best + threshold;
  return mode === 'min' ? value < best * (1 - threshold) : value > best * (1 + threshold);
}

const worst = ({ mode }: { mode: 'min' | 'max' }): number =>
  mode === 'min' ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
