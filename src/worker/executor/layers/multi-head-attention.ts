/** MultiHeadAttention: the projections as matrix products over all samples and steps, and the attention by the engine's kernels. */

import type { Rank, Tensor, Tensor2D, Tensor3D, Tensor4D } from '@tensorflow/tfjs-core';
import { attentionMask } from '../../../api/layers/attention-mask.js';
import type { Projection } from '../../../api/layers/attend.js';
import type { MultiHeadAttentionFields } from '../../../api/layers/multi-head-attention.js';
import { fieldsOf, type Layer, type LayerVariable } from '../layer.js';
import {
  perTensor,
  type ActiveShard,
  type LayerImplementation,
  type LayerServices,
  type PassContext,
} from '../layer-op.js';
import { RandomDraws } from './random-draws.js';
import { inLayer } from './recorded-layer.js';

export const multiHeadAttention: LayerImplementation = (layer, services) => {
  const op = new MultiHeadAttentionOp(layer, services);
  return {
    forward: (context, inputs, _, inputMasks = []) => {
      const passes = context.shards.map((shard, i) => {
        const tensors = inputs.map((perShard) => perShard[i] as Tensor3D);
        return op.forward(context, shard, tensors, inputMasks[i] ?? []);
      });
      return {
        outputs: [passes.map(({ y }) => y)],
        backward: ([dys = []]) => {
          const found = passes.map(({ backward }, i) => backward(dys[i] as Tensor));
          return services.needsInputGradient ? perTensor(inputs.length, found) : [];
        },
      };
    },
  };
};

interface ShardPass {
  readonly y: Tensor;
  /** Returns the gradients of the inputs, or nothing if they are not needed. */
  backward(dy: Tensor): Tensor[];
}

/** One projection of one shard. */
interface Projected {
  /** [samples, steps, outputs] */
  readonly y: Tensor3D;
  /**
   * Passes on the gradients of the weights, those of the kernel deferred. Returns the gradient of the input plus `addend`, if it is
   * wanted.
   */
  backward(dy: Tensor3D, wanted: boolean, addend?: Tensor): Tensor | undefined;
}

class MultiHeadAttentionOp {
  readonly #layer: Layer;
  readonly #services: LayerServices;
  readonly #fields: MultiHeadAttentionFields;
  readonly #trained: ReadonlySet<unknown>;

  constructor(layer: Layer, services: LayerServices) {
    this.#layer = layer;
    this.#services = services;
    this.#fields = fieldsOf<MultiHeadAttentionFields>(layer);
    this.#trained = new Set<unknown>(layer.trainableWeights);
  }

  /** @param inputs query, value and key; without the last or the last two, it takes the part of the missing ones */
  forward(
    context: PassContext,
    shard: ActiveShard,
    inputs: readonly Tensor3D[],
    masks: readonly (Tensor | undefined)[],
  ): ShardPass {
    const { tf, kernels, needsInputGradient } = this.#services;
    const { options, projections } = this.#fields;
    const { numHeads, keyDim, valueDim, useCausalMask } = options;
    const order = inputsOfParts(inputs.length);
    const [query, key, value] = order.map((i) => inputs[i] as Tensor3D) as [Tensor3D, Tensor3D, Tensor3D];
    const [samples, queries] = query.shape;
    const keys = key.shape[1];
    const projected = [query, key, value].map((x, i) =>
      this.#project(context, shard, x, projections[i] as Projection),
    ) as [Projected, Projected, Projected];
    const heads = ({ y }: Projected, steps: number, size: number): Tensor4D =>
      tf.reshape(y, [samples, steps, numHeads, size]);
    const [queryMask, keyMask, valueMask] = order.map((i) => masks[i]);
    const given = { query: queryMask, value: valueMask, key: keyMask };
    const pass = kernels.attention({
      query: heads(projected[0], queries, keyDim),
      key: heads(projected[1], keys, keyDim),
      value: heads(projected[2], keys, valueDim),
      mask: inLayer(this.#layer, 'call', () => attentionMask(tf, given, [samples, queries, keys])),
      dropout: this.#dropout(context, shard, [samples, numHeads, queries, keys]),
      scale: 1 / Math.sqrt(keyDim),
      causal: useCausalMask,
    });
    const attended = tf.reshape<Rank.R3>(pass.y, [samples, queries, numHeads * valueDim]);
    const output = this.#project(context, shard, attended, projections[3] as Projection);
    return {
      y: output.y,
      backward: (dy) => {
        const dAttended = output.backward(dy as Tensor3D, true) as Tensor;
        const gradients = pass.gradients(tf.reshape(dAttended, [samples, queries, numHeads, valueDim]));
        const sums: Tensor[] = [];
        [gradients.query, gradients.key, gradients.value].forEach((gradient, part) => {
          const [, steps, heads, size] = gradient.shape;
          const joined = tf.reshape<Rank.R3>(gradient, [samples, steps, heads * size]);
          const input = order[part] as number;
          const sum = (projected[part] as Projected).backward(joined, needsInputGradient, sums[input]);
          sums[input]?.dispose();
          if (sum) sums[input] = sum;
        });
        return sums;
      },
    };
  }

  /** Multiplies by a kernel that is a matrix with the axes of the heads joined, and adds the bias. */
  #project(context: PassContext, shard: ActiveShard, x: Tensor3D, { kernel, bias }: Projection): Projected {
    const { tf, kernels } = this.#services;
    const inputs = x.shape[2];
    const values = kernel.read();
    const columns = values.size / inputs;
    const pass = kernels.dense(x, {
      matrix: tf.reshape<Rank.R2>(values, [inputs, columns]),
      bias: bias ? tf.reshape<Rank.R1>(bias.read(), [columns]) : undefined,
      activation: 'linear',
    });
    return {
      y: pass.y as Tensor3D,
      backward: (dy, input, addend) => {
        const { dz, dx, dBias } = pass.gradients(dy, { input, bias: bias !== null, addend });
        if (bias && dBias) this.#give(context, shard, bias, () => dBias);
        context.defer(() =>
          this.#give(context, shard, kernel, () => kernels.denseGradient(rowsOf(tf, x), dz)),
        );
        return dx;
      },
    };
  }

  #give(
    context: PassContext,
    shard: ActiveShard,
    weight: Projection['kernel'],
    gradientOf: () => Parameters<PassContext['gradient']>[2],
  ): void {
    if (!this.#trained.has(weight)) return;
    const gradient = gradientOf();
    context.gradient(this.#services.weightIndex(weight as LayerVariable), shard, gradient);
  }

  #dropout(
    context: PassContext,
    shard: ActiveShard,
    shape: [number, number, number, number],
  ): Tensor4D | undefined {
    const { dropout } = this.#fields.options;
    if (!context.training || dropout === 0) return undefined;
    const draws = new RandomDraws(this.#services, { shard, step: context.step });
    return draws.dropped(this.#services.tf.ones(shape), dropout) as Tensor4D;
  }
}

/** Returns the indices of the inputs that are query, key and value; a layer is applied to [query, value, key]. */
function inputsOfParts(count: number): readonly [number, number, number] {
  return [0, Math.max(count - 1, 0), Math.min(count - 1, 1)];
}

const rowsOf = (tf: LayerServices['tf'], x: Tensor3D): Tensor2D =>
  tf.reshape(x, [x.shape[0] * x.shape[1], x.shape[2]]);
