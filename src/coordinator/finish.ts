/** The end of a training: `finished`, `saved`, and the checkpoints on the way. Pure. */

import type { MessageOf, WorkerMessage } from '../shared/protocol/messages.js';
import { andThen, emit, fail, noActions, sendTo, warn } from './actions.js';
import { afterLastCheckpoint } from './plan-next.js';
import { emitStatus } from './status.js';
import { enter, moveTo } from './transitions.js';
import type { Decision, State, WorkerRecord } from './types.js';
import {
  allMembersAre,
  lastCommittedStep,
  membersOf,
  rankedMembers,
  withWorker,
  writerOf,
} from './workers.js';

/** Records that a member has finished the last step. The writer saves the model once all members have finished with the same weights. */
export function onFinished(
  state: State,
  worker: WorkerRecord,
  result: MessageOf<WorkerMessage, 'finished'>,
  nowMs: number,
): Decision {
  if (worker.lifecycle.state !== 'running') return noActions(state);
  const { ready, rank, shards } = worker.lifecycle;
  const next = withWorker(state, moveTo(worker, { state: 'finished', ready, rank, shards, result }));
  if (!allMembersAre(next, 'finished')) return noActions(next);
  const members = rankedMembers(next);
  const results = members.flatMap(({ lifecycle }) =>
    lifecycle.state === 'finished' ? [lifecycle.result] : [],
  );
  const hashes = new Set(results.map(({ weightsSha256 }) => weightsSha256));
  if (hashes.size > 1) {
    const message = `Workers finished with different weights: ${[...hashes].join(', ')}.`;
    return fail(next, { code: 'INVARIANT', message }, 1, nowMs);
  }
  const saving: Decision = {
    state: enter(next, 'saving', nowMs),
    actions: sendTo(members.slice(writerOf(members)).slice(0, 1), {
      type: 'save',
      generation: state.generation,
      directory: state.out ?? '',
    }),
  };
  return andThen(saving, (last) => emitStatus(last, nowMs));
}

/** Ends the run after the model has been saved. `path` is empty if the run saves nothing. */
export function onSaved(state: State, path: string, nowMs: number): Decision {
  const { progress } = state;
  const [first] = membersOf(state);
  const result = first?.lifecycle.state === 'finished' ? first.lifecycle.result : undefined;
  return {
    state: enter(state, 'done', nowMs),
    actions: [
      ...(path === '' ? [] : [emit({ event: 'saved', path })]),
      emit({
        event: 'done',
        steps: result?.steps ?? 0,
        seconds: (nowMs - progress.startedMs) / 1000,
        imagesPerSecond: progress.trainingMs > 0 ? (progress.samples / progress.trainingMs) * 1000 : 0,
        weightsSha256: result?.weightsSha256 ?? '',
      }),
      ...sendTo(state.workers.values(), { type: 'finish' }),
      { kind: 'end', status: 0 },
    ],
  };
}

/** Handles a checkpoint that was written or has failed. In phase `stopping`, the run waits for the checkpoint of the last step. */
export function onCheckpointed(
  state: State,
  { step, path, error, seconds }: MessageOf<WorkerMessage, 'checkpointed'>,
  nowMs: number,
): Decision {
  // A checkpoint of an earlier step may have been in progress when the run was stopped.
  const last = state.phase === 'stopping' && step >= lastCommittedStep(state);
  if (error !== null) {
    if (!last) return { state, actions: error === '' ? [] : [warn(error)] };
    const message = error || 'The last checkpoint failed for the same reason as the one before.';
    return fail(state, { code: 'CHECKPOINT', message }, 1, nowMs);
  }
  const repeated = state.checkpoint?.step === step && state.checkpoint.path === path;
  const written: Decision = {
    state: { ...state, checkpoint: { path, step } },
    actions: repeated
      ? []
      : [emit({ event: 'checkpoint', step, path, ...(seconds === undefined ? {} : { seconds }) })],
  };
  return last ? andThen(written, (next) => afterLastCheckpoint(next, nowMs)) : written;
}
