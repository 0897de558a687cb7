/**
 * Converts the workers' reports about training to the run's events. Pure. The first report of a step or of an evaluation becomes an
 * event. Another report of the newest step with a different loss ends the run. Reports of older steps
 * are not compared.
 */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import { evaluationEvent } from '../shared/runs/run-events.js';
import { totalOf } from '../shared/timeline/step-parts.js';
import { andThen, emit, fail, noActions, warn } from './actions.js';
import { rebalanceIfWorthwhile, withMeasurement, withComputeTimes } from './balance.js';
import { withTimes } from './status.js';
import type { Action, Decision, State, WorkerRecord } from './types.js';
import { rankOf, readyOf } from './workers.js';

type Committed = MessageOf<WorkerMessage, 'committed'>;
type Evaluated = MessageOf<WorkerMessage, 'evaluated'>;

/** Weight of the newest step in the smoothed rate. */
const smoothing = 0.1;

/** Handles the most frequent message. Its cost must not depend on the number of workers. */
export function onCommitted(state: State, worker: WorkerRecord, message: Committed, nowMs: number): Decision {
  // After `drain` no more measurements are needed.
  const measuring = message.generation === state.generation && state.balance.stopAfter === null;
  const measured = measuring ? withComputeTimes(worker, message, nowMs) : worker;
  const next = withMeasurement(state, worker, {
    ...measured,
    committedStep: message.step,
    recent: withTimes(worker, message),
  });
  return andThen(applyCommitted(next, worker, message, nowMs), (reported) =>
    rebalanceIfWorthwhile(reported, nowMs),
  );
}

function withoutFailedAttempts(state: State): State {
  if (state.reconfiguration.failedAttempts === 0) return state;
  return { ...state, reconfiguration: { ...state.reconfiguration, failedAttempts: 0 } };
}

/** Applies a committed step that `worker`, a member, has reported. Fails the run if another worker reported another loss. */
function applyCommitted(
  state: State,
  worker: WorkerRecord,
  { generation, step, epoch, loss, learningRate, times, metrics }: Committed,
  nowMs: number,
): Decision {
  const { progress } = state;
  if (step === progress.step && progress.loss !== null && !Object.is(loss, progress.loss)) {
    const message = `Workers report different losses for step ${step}: expected ${progress.loss}, got ${loss}.`;
    return fail(state, { code: 'INVARIANT', message }, 1, nowMs);
  }
  // A step that is repeated from a checkpoint is progress of its generation, too.
  if (step <= progress.step)
    return noActions(generation === state.generation ? withoutFailedAttempts(state) : state);
  const samples = samplesOf(step, readyOf(worker)?.trainCount ?? 0, state.config.batchSize);
  const sinceMarkMs = Math.max(nowMs - progress.markMs, 1e-3);
  // The time in which the members shared their state belongs to no step.
  const elapsedMs =
    progress.firstOfGeneration && times ? Math.min(sinceMarkMs, Math.max(totalOf(times), 1e-3)) : sinceMarkMs;
  const smoothed = smoothRate(progress.rate, samples, elapsedMs, state.config.batchSize);
  return {
    state: {
      ...withoutFailedAttempts(state),
      progress: {
        ...progress,
        step,
        loss,
        markMs: nowMs,
        firstOfGeneration: false,
        trainingMs: progress.trainingMs + elapsedMs,
        samples: progress.samples + samples,
        rate: smoothed,
      },
    },
    actions: [
      ...missingSteps(progress.step, step),
      emit({
        event: 'step',
        epoch,
        step,
        loss,
        learningRate,
        imagesPerSecond: smoothed,
        seconds: elapsedMs / 1000,
        samples,
        ...(metrics && { metrics }),
      }),
    ],
  };
}

/**
 * A warning if steps lie between the last report and this one. A worker keeps a limited number of reports for a new coordinator, so
 * those of a long time without a coordinator can be lost.
 */
function missingSteps(last: number, step: number): Action[] {
  if (step === last + 1) return [];
  return [
    warn(
      `The log lacks steps ${last + 1} to ${step - 1}: they were committed while there was no coordinator, and the workers no longer have ` +
        'their reports. The weights are not affected.',
    ),
  ];
}

/**
 * Smooths the time per sample rather than the rate: reports that arrive in one burst have gaps of microseconds between them, and a
 * mean of their rates would be dominated by those gaps.
 * @param rate smoothed samples per second so far; 0 before the first step
 */
function smoothRate(rate: number, samples: number, elapsedMs: number, batchSize: number): number {
  const newest = elapsedMs / samples;
  const previous = rate === 0 ? newest : 1000 / rate;
  // A short last batch counts by its samples.
  const weight = (smoothing * samples) / batchSize;
  return 1000 / (previous + weight * (newest - previous));
}

/** Number of samples of a step: the last batch of an epoch can be smaller. */
function samplesOf(step: number, trainCount: number, batchSize: number): number {
  const stepsPerEpoch = Math.ceil(trainCount / batchSize);
  return step % stepsPerEpoch === 0 ? trainCount - (stepsPerEpoch - 1) * batchSize : batchSize;
}

/** Applies an evaluation. Its time does not count towards the training rate. */
export function onEvaluated(
  state: State,
  { split, epoch, step, loss, metrics, correct, count }: Evaluated,
  nowMs: number,
): Decision {
  const { evaluated: last } = state.progress;
  const repeated = step < last.step || (step === last.step && last.splits.includes(split));
  if (repeated) return noActions(state);
  const splits = step === last.step ? [...last.splits, split] : [split];
  return {
    state: { ...state, progress: { ...state.progress, evaluated: { step, splits }, markMs: nowMs } },
    actions: [emit(evaluationEvent({ split, epoch, step, loss, metrics, correct, count }))],
  };
}

/** The event of a message that is for display only. */
export function toEvent(
  worker: WorkerRecord,
  message: MessageOf<WorkerMessage, 'misclassified' | 'confusion' | 'model' | 'histograms'>,
): Action {
  switch (message.type) {
    case 'misclassified': {
      const { split, epoch, step, samples, picture } = message;
      const rank = rankOf(worker) ?? 0;
      return emit({ event: 'misclassified', split, epoch, step, rank, samples, picture });
    }
    case 'confusion': {
      const { type: event, ...counts } = message;
      return emit({ event, rank: rankOf(worker) ?? 0, ...counts });
    }
    case 'model':
      return emit({ event: 'model', layers: message.layers });
    case 'histograms':
      return emit({ event: 'histograms', step: message.step, histograms: message.histograms });
  }
}
