/**
 * Dropout whose masks depend only on (seed, step, layer, position of the sample in the global batch), so a sample has the same
 * mask on every worker. Values are kept with probability 1 - rate and scaled by 1 / (1 - rate). A Dropout with a noiseShape is recorded.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { philoxKey } from '../../../shared/random/philox.js';
import { blocksOf } from '../../kernels/composed-dropout.js';
import { fieldsOf } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';

export const dropout: LayerImplementation = (layer, { kernels, seed, node }) => {
  const { rate, noiseShape } = fieldsOf<{ rate: number; noiseShape: unknown }>(layer);
  if (noiseShape !== null && noiseShape !== undefined) return undefined;
  const { low, high } = philoxKey(seed, 'dropout');

  return shardwise((x, shard, { training, step }) => {
    if (!training || rate === 0) return [x.clone(), (dy) => dy.clone()];
    const counter = [(shard.start * blocksOf(x.size / shard.count)) >>> 0, step, node.index] as const;
    const drop = (value: Tensor): Tensor => kernels.dropout(value, rate, [low, high], counter);
    // The backward pass draws the same mask again instead of keeping it.
    return [drop(x), drop];
  });
};
