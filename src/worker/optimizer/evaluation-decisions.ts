/**
 * Decisions that depend on evaluations: reducing the learning rate on a plateau (torch.optim.lr_scheduler.ReduceLROnPlateau) and early
 * stopping. They are functions of a few numbers that belong to the training state. An evaluation has the same bits on every worker, so
 * every worker takes the same decision.
 */

import type { EarlyStoppingConfig, RunConfig, ScheduleConfig } from '../../shared/config/run-config.js';

type Plateau = Extract<ScheduleConfig, { kind: 'plateau' }>;
type DecisionConfig = Pick<RunConfig, 'optimizer' | 'schedule' | 'earlyStopping'>;

/** Numbers by name; part of the training state. */
export type SchedulerState = Map<string, number>;

/** The learning rate is not changed by less than this, as in PyTorch. */
const smallestChange = 1e-8;

/** Returns true if the learning rate or early stopping depends on evaluations, so that every worker must call `onEvaluation`. */
export function dependsOnEvaluation({ schedule, earlyStopping }: Omit<DecisionConfig, 'optimizer'>): boolean {
  return schedule.kind === 'plateau' || earlyStopping !== null;
}

/** The scheduler state before the first evaluation. Its names are the same on every worker. */
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

/** The learning rate after all reductions; 0 for schedules other than `plateau`. */
export function reducedRate(numbers: SchedulerState): number {
  return numbers.get('plateau.rate') ?? 0;
}

/** Returns true if early stopping has ended the training. */
export function hasStopped(
  { earlyStopping }: Pick<RunConfig, 'earlyStopping'>,
  numbers: SchedulerState,
): boolean {
  return earlyStopping !== null && (numbers.get('stopping.bad') ?? 0) > earlyStopping.patience;
}

/**
 * Updates the scheduler state with the evaluation after `step`. A second call for the same step has no effect, since a new generation
 * may repeat an evaluation.
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

/** Keeps the best value so far and counts the evaluations since then. */
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
