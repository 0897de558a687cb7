/**
 * Between a replica's flat vectors (in backward order, statistics apart) and a checkpoint's (one a weight, in layout order).
 * Owns nothing but the rearrangement.
 */

import type { CheckpointNames, CheckpointState } from '../../shared/checkpoint/checkpoint.js';
import type { Replica } from '../training/replica.js';
import type { SavedState, StateNames, TrainingState } from '../training/training-state.js';
import { statisticsOf } from '../training/weights.js';

/** Where a weight's elements are among the flat parameters, or among the statistics. */
interface Places {
  readonly trained: ReadonlyMap<number, { readonly offset: number; readonly size: number }>;
  readonly statistics: ReadonlyMap<number, { readonly offset: number; readonly size: number }>;
}

function stateLayoutOf(replica: Replica, { optimizer }: TrainingState): Places {
  let offset = 0;
  const statistics = statisticsOf(replica).map(({ weight, size }) => {
    offset += size;
    return [weight, { offset: offset - size, size }] as const;
  });
  return {
    trained: new Map(optimizer.parameters.map((parameter) => [parameter.weight, parameter])),
    statistics: new Map(statistics),
  };
}

/** What a checkpoint of this replica has to have. */
export function checkpointNames(
  { layout }: Pick<Replica, 'layout'>,
  { slots, statisticsSlots, schedulerState }: StateNames,
): CheckpointNames {
  const weights = (trainable: boolean): number[] =>
    layout.flatMap((entry, weight) => (entry.trainable === trainable ? [weight] : []));
  return {
    slots: new Map(
      slots.map((name) => [
        name,
        [...weights(true), ...(statisticsSlots.includes(name) ? weights(false) : [])],
      ]),
    ),
    schedulerState,
  };
}

/** Views of `saved`, which is what `state` has saved. */
export function toCheckpoint(replica: Replica, state: TrainingState, saved: SavedState): CheckpointState {
  const { trained, statistics } = stateLayoutOf(replica, state);
  const cut = (
    weight: number,
    flat: Float32Array | undefined,
    others: Float32Array | undefined,
  ): Float32Array | undefined => {
    const place = trained.get(weight);
    if (place) return flat?.subarray(place.offset, place.offset + place.size);
    const other = statistics.get(weight);
    return other && others?.subarray(other.offset, other.offset + other.size);
  };
  const slot = (name: string): ReadonlyMap<number, Float32Array> => {
    const vectors = replica.layout.map(
      (_, weight) => [weight, cut(weight, saved.slots.get(name), saved.statisticsSlots.get(name))] as const,
    );
    return new Map(vectors.filter((entry): entry is [number, Float32Array] => entry[1] !== undefined));
  };
  return {
    weights: replica.layout.map(
      (_, weight) => cut(weight, saved.parameters, saved.statistics) ?? new Float32Array(0),
    ),
    slots: new Map(state.names.slots.map((name) => [name, slot(name)])),
    schedulerState: saved.schedulerState,
  };
}

export function fromCheckpoint(
  replica: Replica,
  state: TrainingState,
  { weights, slots, schedulerState }: CheckpointState,
): SavedState {
  const { trained, statistics } = stateLayoutOf(replica, state);
  const join = (
    places: Places['trained'],
    values: (weight: number) => Float32Array | undefined,
  ): Float32Array => {
    const flat = new Float32Array([...places.values()].reduce((total, { size }) => total + size, 0));
    for (const [weight, { offset }] of places) flat.set(values(weight) ?? [], offset);
    return flat;
  };
  const joinSlots = (places: Places['trained'], names: readonly string[]): Map<string, Float32Array> =>
    new Map(names.map((name) => [name, join(places, (weight) => slots.get(name)?.get(weight))]));
  return {
    parameters: join(trained, (weight) => weights[weight]),
    slots: joinSlots(trained, state.names.slots),
    statistics: join(statistics, (weight) => weights[weight]),
    statisticsSlots: joinSlots(statistics, state.names.statisticsSlots),
    schedulerState,
  };
}
