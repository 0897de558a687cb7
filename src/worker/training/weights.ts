/**
 * The model's weights as plain vectors, in the layout's order: all of them for hashes and files, and those that aren't
 * trained (BatchNorm's statistics) for whoever joins, resumes or averages.
 */

import { elementCount } from '../../shared/model/layout.js';
import { hashBytes, hashFloats } from '../../shared/ledger/hash.js';
import type { LayerVariable } from '../executor/layer.js';
import type { Replica } from './replica.js';

/** Every weight's values, in layout order. */
export function readWeights({ model }: Replica): Float32Array[] {
  return model.weights.map((variable) => Float32Array.from(variable.read().dataSync<'float32'>()));
}

/** The weights that aren't trained, BatchNorm's statistics: their indices in the layout, and elements. */
export function statisticsOf({
  layout,
}: Replica): { weight: number; shape: readonly number[]; size: number }[] {
  return layout.flatMap(({ shape, trainable }, weight) =>
    trainable ? [] : [{ weight, shape, size: elementCount(shape) }],
  );
}

/** Their values, one after the other. */
export function readStatistics(replica: Replica): Float32Array {
  const all = statisticsOf(replica);
  const values = new Float32Array(all.reduce((total, { size }) => total + size, 0));
  let offset = 0;
  for (const { weight, size } of all) {
    const read = replica.model.weights[weight]?.read().dataSync<'float32'>();
    if (read) values.set(read, offset);
    offset += size;
  }
  return values;
}

export function writeStatistics(replica: Replica, values: Float32Array): void {
  const { tf } = replica.engine;
  const variables = replica.model.weights as unknown as LayerVariable[];
  let offset = 0;
  tf.tidy(() => {
    for (const { weight, shape, size } of statisticsOf(replica)) {
      variables[weight]?.write(tf.tensor(values.slice(offset, offset + size), [...shape]));
      offset += size;
    }
  });
}

/** The ledger's hash of what isn't trained: BatchNorm's statistics. */
export function hashStatistics(replica: Replica): Uint8Array {
  const target = new Uint8Array(hashBytes);
  (replica.engine.memory?.hash ?? hashFloats)(readStatistics(replica), target);
  return target;
}
