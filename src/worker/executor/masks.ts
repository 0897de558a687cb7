/**
 * Masks (tf.layers.masking, maskZero of an embedding, a custom layer's computeMask), computed and passed on as tfjs's Container does:
 *
 * - A layer that supports masking computes its output's mask from its inputs and their masks. All of its outputs have that mask.
 * - A layer is called with the mask of its first input. If no input of it has a mask, it is called with the mask with which
 *   an earlier layer was called last, because tfjs keeps one set of call arguments during a pass.
 * - A nested model is called with a mask as any layer is. Its own layers do not see this mask as a mask of its inputs, and its outputs
 *   have no mask.
 *
 * The loss and the metrics ignore masks, as in tfjs. Gradients do not flow through masks.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { ModelError } from '../../shared/errors.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { Graph, GraphNode } from './graph.js';
import { innerLayers } from './inner-layers.js';
import type { Layer } from './layer.js';
import type { Refusal } from './layers/refusals.js';

/** tfjs's merges give a mask [1, samples, time], of which a later layer would read one sample's row as a time step. */
const merges = ['Add', 'Multiply', 'Average', 'Maximum', 'Minimum'];
/** The refusal of the first step for such a mask. */
export const mergedMask: Refusal = {
  subject:
    'a recurrent layer, Bidirectional or Softmax, also in TimeDistributed, that has the mask of Add, Average or another merge',
  reason:
    'tfjs mixes the samples of a batch in this mask. Use Concatenate, or set maskZero to false and remove Masking before it',
};
/** Layers of tfjs whose result depends on the mask that they are called with. */
const readers = [
  'RNN',
  'SimpleRNN',
  'LSTM',
  'GRU',
  'ConvLSTM2D',
  'Bidirectional',
  'TimeDistributed',
  'Softmax',
];
/** Layers of tfjs with a computeMask of their own that returns no mask unless an input has one. */
const carriers = [...merges, ...readers, 'Concatenate', 'Dot'];

/** Returns true if the result of a layer of tfjs depends on the mask that it is called with. */
function readsMask(layer: Layer): boolean {
  const parts = layer.getClassName() === 'TimeDistributed' ? innerLayers(layer).slice(1) : [layer];
  return parts.some((part) => readers.includes(part.getClassName()));
}

/** Returns true if a layer of the graph may compute a mask from inputs without masks. */
export function hasMasks(tf: Tensorflow, { nodes }: Pick<Graph, 'nodes'>): boolean {
  const inherited: unknown = Reflect.get(tf.layers.Layer.prototype, 'computeMask');
  return nodes.some(({ layer }) => {
    if (!layer.supportsMasking) return false;
    const name = layer.getClassName();
    return Reflect.get(layer, 'computeMask') !== inherited && !carriers.includes(name);
  });
}

interface CallArguments {
  mask?: Tensor | undefined;
}

/** The masks of one shard during one pass. Its tensors belong to the enclosing tidy. */
export class MaskFlow {
  readonly #scopes: Graph['scopes'];
  /** Masks of values, per scope: a nested model does not see the masks of the values that it is called with. */
  readonly #masks = new Map<string, Tensor>();
  /** Call arguments of each scope that has been entered. */
  readonly #arguments = new Map<number, CallArguments | undefined>();
  /** Masks that mix samples, with the merge that they come from. */
  readonly #mixed = new Map<Tensor, Layer>();
  /** Masks of the inputs of the dissolved TimeDistributed layers that are open, innermost last. */
  readonly #timeDistributed: (Tensor | undefined)[] = [];

  constructor(scopes: Graph['scopes'], training: boolean) {
    this.#scopes = scopes;
    // In inference, tfjs makes the call arguments of the outermost model when the first mask appears.
    this.#arguments.set(0, training ? {} : undefined);
  }

  /** Returns the mask that the node's layer is called with. Must be called for every node, in order. */
  enter({ layer, inputs, scope }: GraphNode): Tensor | undefined {
    const mask = this.#argumentsFor(scope, inputs)?.mask;
    const merge = mask && this.#mixed.get(mask);
    if (merge && readsMask(layer)) {
      throw new ModelError(
        `Layer "${layer.name}" (${layer.getClassName()}) has the mask of "${merge.name}" (${merge.getClassName()}): ` +
          `${mergedMask.reason}.`,
      );
    }
    return mask;
  }

  /** Returns the mask of each input of the node. */
  inputMasks({ inputs, scope }: GraphNode): (Tensor | undefined)[] {
    return inputs.map((valueId) => this.#maskOf(scope, valueId));
  }

  /** Computes the masks of the node's outputs; `values` are its inputs. */
  leave({ layer, kind, inputs, outputs, scope }: GraphNode, values: readonly Tensor[]): void {
    if (kind === 'unstack') {
      this.#timeDistributed.push(this.#maskOf(scope, inputs[0]));
      return;
    }
    const masks = inputs.map((valueId) => this.#maskOf(scope, valueId));
    const mask = kind === 'stack' ? this.#timeDistributed.pop() : this.#computeMask(layer, values, masks);
    if (!mask) return;
    for (const valueId of outputs) this.#masks.set(`${scope}/${valueId}`, mask);
    const merge = masks.map((input) => input && this.#mixed.get(input)).find((source) => source);
    const mixes = merge ?? (merges.includes(layer.getClassName()) ? layer : undefined);
    if (mixes) this.#mixed.set(mask, mixes);
  }

  #computeMask(
    layer: Layer,
    values: readonly Tensor[],
    masks: readonly (Tensor | undefined)[],
  ): Tensor | undefined {
    if (!layer.supportsMasking) return undefined;
    const computed = layer.computeMask([...values], [...masks] as Tensor[]) as
      Tensor | (Tensor | null | undefined)[] | null | undefined;
    const mask = (Array.isArray(computed) ? computed[0] : computed) ?? undefined;
    // An input is freed after its last use.
    return mask && values.includes(mask) ? mask.clone() : mask;
  }

  #maskOf(scope: number, valueId: number | undefined): Tensor | undefined {
    return this.#masks.get(`${scope}/${valueId ?? -1}`);
  }

  /** Updates the arguments of a scope for the call of a layer or a nested model with `inputs`. */
  #argumentsFor(scope: number, inputs: readonly number[]): CallArguments | undefined {
    if (!this.#arguments.has(scope)) {
      const { parent, inputs: modelInputs } = this.#scopes[scope] as Graph['scopes'][number];
      this.#arguments.set(scope, this.#argumentsFor(parent, modelInputs) ?? {});
    }
    const masks = inputs.map((valueId) => this.#maskOf(scope, valueId));
    if (masks.every((mask) => mask === undefined)) return this.#arguments.get(scope);
    const shared = this.#arguments.get(scope) ?? {};
    shared.mask = masks[0];
    this.#arguments.set(scope, shared);
    return shared;
  }
}
