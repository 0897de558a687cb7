/** The ends of a dissolved TimeDistributed: [samples, time, ...] to one value per time step, and back. */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayerOp, LayerServices } from '../layer-op.js';

/** One input [samples, time, ...]; as many outputs [samples, ...] as there are time steps. */
export function unstackOp({ tf, node }: LayerServices): LayerOp {
  return {
    forward: (context, [sequences = []]) => {
      const shards = sequences.map((sequence) => tf.unstack(sequence, 1));
      const at = (step: number): Tensor[] => shards.map((steps) => steps[step] as Tensor);
      return {
        outputs: node.outputs.map((_, step) => at(step)),
        backward: (gradients) => [
          context.shards.map((_, i) =>
            tf.stack<Tensor>(
              gradients.map((shard) => shard[i] as Tensor),
              1,
            ),
          ),
        ],
      };
    },
  };
}

/** The reverse of `unstackOp`. */
export function stackOp({ tf, node }: LayerServices): LayerOp {
  return {
    forward: (context, steps) => ({
      outputs: [
        context.shards.map((_, i) =>
          tf.stack<Tensor>(
            steps.map((shard) => shard[i] as Tensor),
            1,
          ),
        ),
      ],
      backward: ([gradients = []]) => {
        const shards = gradients.map((gradient) => tf.unstack(gradient, 1));
        return node.inputs.map((_, step) => shards.map((unstacked) => unstacked[step] as Tensor));
      },
    }),
  };
}
