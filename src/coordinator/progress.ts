/**
 * What the workers report of the training, made into the run's events: each step and evaluation once, however many workers
 * report it, and only if they agree.
 */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import { evaluationEvent } from '../shared/runs/run-events.js';
import { emit, type Action, type Decision, type State, type WorkerRecord } from './state.js';

type Report = Extract<WorkerMessage, { type: 'committed' | 'evaluated' }>;

/** Weight of the newest step in the smoothed rate. */
const smoothing = 0.1;

/** Undefined when this report contradicts another worker's. */
export function applyProgress(state: State, report: Report, nowMs: number): Decision | undefined {
  return report.type === 'committed' ? committed(state, report, nowMs) : evaluated(state, report, nowMs);
}

function committed(
  state: State,
  { step, epoch, loss, learningRate }: Extract<Report, { type: 'committed' }>,
  nowMs: number,
): Decision | undefined {
  const { progress } = state;
  const contradicts = progress.loss !== null && !Object.is(loss, progress.loss);
  if (step === progress.step && contradicts) return undefined;
  if (step <= progress.step) return { state, actions: [] };
  const trainCount = [...state.workers.values()][0]?.ready?.trainCount ?? 0;
  const { batchSize } = state.config;
  const stepsPerEpoch = Math.ceil(trainCount / batchSize);
  const last = step % stepsPerEpoch === 0;
  const samples = last ? trainCount - (stepsPerEpoch - 1) * batchSize : batchSize;
  const elapsedMs = Math.max(nowMs - progress.markMs, 1e-3);
  const rate = (samples / elapsedMs) * 1000;
  const smoothed = progress.rate === 0 ? rate : progress.rate + smoothing * (rate - progress.rate);
  return {
    state: {
      ...state,
      generationsWithoutProgress: 0,
      progress: {
        ...progress,
        step,
        loss,
        markMs: nowMs,
        trainingMs: progress.trainingMs + elapsedMs,
        samples: progress.samples + samples,
        rate: smoothed,
      },
    },
    actions: [
      {
        kind: 'emit',
        event: {
          ...{ event: 'step', epoch, step, loss, learningRate },
          ...{ imagesPerSecond: smoothed, seconds: elapsedMs / 1000, samples },
        },
      },
    ],
  };
}

function evaluated(
  state: State,
  { split, epoch, step, loss, metrics, correct, count }: Extract<Report, { type: 'evaluated' }>,
  nowMs: number,
): Decision {
  const { evaluated: before } = state.progress;
  const known = step < before.step || (step === before.step && before.splits.includes(split));
  if (known) return { state, actions: [] };
  const splits = step === before.step ? [...before.splits, split] : [split];
  return {
    // An evaluation isn't training: the next step's rate is measured from its end.
    state: { ...state, progress: { ...state.progress, evaluated: { step, splits }, markMs: nowMs } },
    actions: [
      { kind: 'emit', event: evaluationEvent({ split, epoch, step, loss, metrics, correct, count }) },
    ],
  };
}

/** What is passed on to those who look at the run, and decides nothing. */
export function toEvent(
  { rank }: WorkerRecord,
  message: MessageOf<WorkerMessage, 'misclassified' | 'model' | 'histograms'>,
): Action {
  switch (message.type) {
    case 'misclassified': {
      const { split, epoch, step, samples, picture } = message;
      return emit({ event: 'misclassified', split, epoch, step, rank: rank ?? 0, samples, picture });
    }
    case 'model':
      return emit({ event: 'model', layers: message.layers });
    case 'histograms':
      return emit({ event: 'histograms', step: message.step, histograms: message.histograms });
  }
}
