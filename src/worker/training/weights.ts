/** Reads and writes the model's weights as vectors in layout order: all weights, or only those that are not trainable. */

import { hashBytes, hashFloats } from '../../shared/ledger/hash.js';
import { elementCount, type Layout } from '../../shared/model/layout.js';
import { weightsOf } from '../executor/model-weights.js';
import type { Replica } from './replica.js';

/** Copies the values of every weight, in layout order. */
export function readWeights({ model }: Pick<Replica, 'model'>): Float32Array[] {
  return weightsOf(model).map((variable) => Float32Array.from(variable.read().dataSync<'float32'>()));
}

/** A weight that is not trainable. */
export interface Statistic {
  /** Index in the layout. */
  readonly weight: number;
  readonly shape: readonly number[];
  /** Index of its first element in the flat vector of statistics. */
  readonly offset: number;
  readonly size: number;
}

/** The weights that are not trainable, in layout order. */
export function statisticsOf({ layout }: { readonly layout: Layout }): Statistic[] {
  let end = 0;
  return layout.flatMap(({ shape, trainable }, weight) => {
    if (trainable) return [];
    const size = elementCount(shape);
    const offset = end;
    end += size;
    return [{ weight, shape, offset, size }];
  });
}

/** Number of elements of all weights that are not trainable. */
export function statisticsSize(replica: Pick<Replica, 'layout'>): number {
  return statisticsOf(replica).reduce((total, { size }) => total + size, 0);
}

/** Copies the values of all weights that are not trainable into one flat vector in layout order. */
export function readStatistics(
  replica: Replica,
  into: Float32Array = new Float32Array(statisticsSize(replica)),
): Float32Array {
  const variables = weightsOf(replica.model);
  for (const { weight, offset } of statisticsOf(replica)) {
    const values = variables[weight]?.read().dataSync<'float32'>();
    if (values) into.set(values, offset);
  }
  return into;
}

/** Replaces the values of all weights that are not trainable; `values` is flat, in layout order. */
export function writeStatistics(replica: Replica, values: Float32Array): void {
  const { tf } = replica.engine;
  const variables = weightsOf(replica.model);
  tf.tidy(() => {
    for (const { weight, shape, offset, size } of statisticsOf(replica))
      variables[weight]?.write(tf.tensor(values.slice(offset, offset + size), [...shape]));
  });
}

/** The ledger's hash (8 bytes) of all weights that are not trainable. */
export function hashStatistics(replica: Replica): Uint8Array {
  const target = new Uint8Array(hashBytes);
  (replica.engine.memory?.hash ?? hashFloats)(readStatistics(replica), target);
  return target;
}
