/**
 * Broadcasts one worker's training state to all others, bit for bit. In each all-reduce every other worker contributes -0, because
 * adding -0 changes no number. Cost: one all-reduce per gradient bucket for each vector over the trainable parameters, one for each
 * vector of statistics, and one for the scheduler state.
 */

import type { VectorName } from '../../shared/model/named-vectors.js';
import type { CollectiveHandle } from '../communicator/communicator.js';
import type { ShareContext } from './generation-context.js';
import { statisticsSize } from './weights.js';

export interface ShareOptions {
  /** True on exactly one worker: its state is broadcast. */
  readonly isSource: boolean;
  /** True on workers that restore the received state. The other workers only take part in the all-reduces. */
  readonly restores: boolean;
}

/** Every worker of the generation must call it. @throws GenerationEnded if the generation ends before all vectors have arrived */
export function shareState(
  { replica, buckets, state, statistics, schedulerState, onFaultPoint }: ShareContext,
  step: number,
  { isSource, restores }: ShareOptions,
): void {
  const received = new Map<VectorName, Float32Array>();
  // A worker that restores nothing keeps nothing. Results are copied, because the next all-reduce overwrites them.
  const keep = (name: VectorName, result: ArrayLike<number>, size = result.length): void => {
    if (restores) received.set(name, Float32Array.from(result).subarray(0, size));
  };
  // The source holds one copy at a time, since a vector can be as large as the model.
  const own = (name: VectorName): Float32Array | undefined => (isSource ? state.vector(name) : undefined);
  for (const name of state.parameterVectors) keep(name, buckets.broadcast(step, own(name)));
  onFaultPoint?.('state-transfer', step);
  // The collective has one element even if there are no statistics.
  const size = statisticsSize(replica);
  for (const name of state.statisticsVectors) keep(name, broadcast(statistics, step, own(name)), size);
  const names = [...state.schedulerState.keys()];
  const values = isSource ? [...state.schedulerState.values()] : undefined;
  const numbers = broadcast(schedulerState, step, values);
  if (restores) state.restore(received, new Map(names.map((name, i) => [name, numbers[i] ?? 0])));
}

function broadcast(
  collective: CollectiveHandle,
  step: number,
  values: ArrayLike<number> | undefined,
): ArrayLike<number> {
  for (const [local, vector] of collective.inputs.entries()) {
    vector.fill(-0);
    if (values && local === 0) vector.set(values);
  }
  collective.start(step);
  collective.wait();
  return collective.output;
}
