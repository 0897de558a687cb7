/**
 * One worker's state to all others, bit for bit, over exchanges that exist anyway: an all-reduce in which everybody else adds
 * -0, which changes no number. All workers of the generation call it; it costs as many all-reduces as there are vectors.
 */

import type { ShareContext } from './generation-context.js';
import type { CollectiveHandle } from '../communicator/communicator.js';
import type { SavedState } from './training-state.js';

/** @param own the state of the worker that gives it; undefined on all others */
export function shareState(
  { buckets, state, statistics, schedulerState, onFaultPoint }: ShareContext,
  step: number,
  own: SavedState | undefined,
): SavedState {
  // Copies: the result lies where the next one will.
  const flat = (values: Float32Array | undefined): Float32Array =>
    Float32Array.from(buckets.broadcast(step, values));
  const small = (values: Float32Array | undefined): Float32Array =>
    Float32Array.from(broadcast(statistics, step, values));
  const { names } = state;
  const parameters = flat(own?.parameters);
  const slots = new Map(names.slots.map((name) => [name, flat(own?.slots.get(name))]));
  onFaultPoint?.('catch-up', step);
  const shared = small(own?.statistics);
  const statisticsSlots = new Map(
    names.statisticsSlots.map((name) => [name, small(own?.statisticsSlots.get(name))]),
  );
  const values = own && names.schedulerState.map((name) => own.schedulerState.get(name) ?? 0);
  const told = broadcast(schedulerState, step, values);
  return {
    parameters,
    slots,
    statistics: shared,
    statisticsSlots,
    schedulerState: new Map(names.schedulerState.map((name, i) => [name, told[i] ?? 0])),
  };
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
