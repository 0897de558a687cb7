/**
 * Decisions that depend on evaluations: reducing the learning rate on a plateau (torch.optim.lr_scheduler.ReduceLROnPlateau) and early
 * stopping. They depend on the scheduler state, a few numbers that are part of the training state. An evaluation has the same bits on every worker, so
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
  const schedulerState: SchedulerState = new Map();
  if (dependsOnEvaluation(config)) schedulerState.set('judged', 0);
  if (schedule.kind === 'plateau') {
    schedulerState.set('plateau.rate', optimizer.learningRate);
    schedulerState.set('plateau.best', worst(schedule));
    schedulerState.set('plateau.bad', 0);
    schedulerState.set('plateau.cooldown', 0);
  }
  if (earlyStopping) {
    schedulerState.set('stopping.best', worst(earlyStopping));
    schedulerState.set('stopping.bad', 0);
  }
  return schedulerState;
}

/** The learning rate after all reductions; 0 for schedules other than `plateau`. */
export function reducedRate(schedulerState: SchedulerState): number {
  return schedulerState.get('plateau.rate') ?? 0;
}

/** Returns true if early stopping has ended the training. */
export function hasStopped(
  { earlyStopping }: Pick<RunConfig, 'earlyStopping'>,
  schedulerState: SchedulerState,
): boolean {
  return earlyStopping !== null && (schedulerState.get('stopping.bad') ?? 0) > earlyStopping.patience;
}

/**
 * Updates the scheduler state with the evaluation after `step`. A second call for the same step has no effect, since a new generation
 * may repeat an evaluation.
 * @param results the test set's loss and metrics by name
 */
export function onEvaluation(
  config: DecisionConfig,
  schedulerState: SchedulerState,
  step: number,
  results: Readonly<Record<string, number>>,
): void {
  if (step <= (schedulerState.get('judged') ?? 0)) return;
  schedulerState.set('judged', step);
  const { schedule, earlyStopping } = config;
  if (schedule.kind === 'plateau') reduce(schedule, schedulerState, results);
  if (earlyStopping) compare(earlyStopping, schedulerState, 'stopping', results);
}

function reduce(
  plateau: Plateau,
  schedulerState: SchedulerState,
  results: Readonly<Record<string, number>>,
): void {
  compare(plateau, schedulerState, 'plateau', results);
  const cooldown = schedulerState.get('plateau.cooldown') ?? 0;
  if (cooldown > 0) {
    schedulerState.set('plateau.cooldown', cooldown - 1);
    schedulerState.set('plateau.bad', 0);
  }
  if ((schedulerState.get('plateau.bad') ?? 0) <= plateau.patience) return;
  const rate = reducedRate(schedulerState);
  const next = Math.max(rate * plateau.factor, plateau.minimum);
  if (rate - next > smallestChange) schedulerState.set('plateau.rate', next);
  schedulerState.set('plateau.cooldown', plateau.cooldown);
  schedulerState.set('plateau.bad', 0);
}

/** Keeps the best value so far and counts the evaluations since then. */
function compare(
  rules: Plateau | EarlyStoppingConfig,
  schedulerState: SchedulerState,
  prefix: string,
  results: Readonly<Record<string, number>>,
): void {
  const value = results[rules.metric] ?? Number.NaN;
  if (isBetter(rules, value, schedulerState.get(`${prefix}.best`) ?? worst(rules))) {
    schedulerState.set(`${prefix}.best`, value);
    schedulerState.set(`${prefix}.bad`, 0);
  } else {
    schedulerState.set(`${prefix}.bad`, (schedulerState.get(`${prefix}.bad`) ?? 0) + 1);
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
