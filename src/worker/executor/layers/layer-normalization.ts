/** LayerNormalization over the last axis. Other axes are recorded. */

import type { Tensor1D } from '@tensorflow/tfjs-core';
import { fieldsOf, type LayerVariable } from '../layer.js';
import { shardwise, type LayerImplementation } from '../layer-op.js';
import { inLayer } from './recorded-layer.js';

interface LayerNormFields {
  readonly axis: number | readonly number[];
  readonly epsilon: number;
  readonly gamma: LayerVariable | null | undefined;
  readonly beta: LayerVariable | null | undefined;
}

export const layerNormalization: LayerImplementation = (
  layer,
  { kernels, weightIndex, needsInputGradient, node },
) => {
  const { axis, epsilon, gamma, beta } = fieldsOf<LayerNormFields>(layer);
  const rank = node.inputShapes[0]?.length ?? 0;
  const [only, ...others] = typeof axis === 'number' ? [axis] : axis;
  if (others.length > 0 || (only !== -1 && only !== rank - 1)) return undefined;
  const read = (variable: LayerVariable | null | undefined): Tensor1D | undefined =>
    variable ? (variable.read() as Tensor1D) : undefined;

  return shardwise((x, shard, context) => {
    const parameters = { gamma: read(gamma), beta: read(beta), epsilon };
    // tfjs checks the size of the last axis only when it computes.
    const pass = inLayer(layer, 'call', () => kernels.layerNorm(x, parameters));
    return [
      pass.y,
      (dy) => {
        const { dx, dGamma, dBeta } = pass.gradients(dy);
        if (gamma?.trainable) context.gradient(weightIndex(gamma), shard, dGamma);
        if (beta?.trainable) context.gradient(weightIndex(beta), shard, dBeta);
        return needsInputGradient ? dx : undefined;
      },
    ];
  });
};
