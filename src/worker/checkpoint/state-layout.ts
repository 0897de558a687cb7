/**
 * Maps the tensors of a checkpoint, one per weight in layout order, to the flat vectors of the training state, whose trainable
 * parameters are in backward order.
 */

import type { StateLayout, TensorSlice } from '../../shared/checkpoint/state-tensors.js';
import type { Layout } from '../../shared/model/layout.js';
import type { ParameterVector, StatisticsVector, VectorName } from '../../shared/model/named-vectors.js';
import type { FlatParameter } from '../executor/gradient-buckets.js';
import { statisticsOf } from '../training/weights.js';

/** The vectors over the weights that are not trainable, by the vector over the trainable ones that they complete. */
const completedBy: Readonly<Partial<Record<ParameterVector, StatisticsVector>>> = {
  weights: 'statistics',
  ema: 'ema.statistics',
};

/**
 * @param parameters the model's trainable parameters
 * @param vectors the state's vectors over the trainable parameters, in the order of the file
 */
export function stateLayoutOf(
  layout: Layout,
  parameters: readonly FlatParameter[],
  vectors: readonly ParameterVector[],
): StateLayout {
  const offsets = new Map<number, number>();
  for (const { weight, offset } of parameters) offsets.set(weight, offset);
  for (const { weight, offset } of statisticsOf({ layout })) offsets.set(weight, offset);
  return vectors.flatMap((parameterVector) => {
    const prefix = parameterVector === 'weights' ? '' : `${parameterVector}/`;
    return layout.flatMap(({ name, shape, trainable }, weight): TensorSlice[] => {
      const vector: VectorName | undefined = trainable ? parameterVector : completedBy[parameterVector];
      const offset = offsets.get(weight);
      if (vector === undefined || offset === undefined) return [];
      return [{ name: `${prefix}${name}`, shape, vector, offset }];
    });
  });
}
