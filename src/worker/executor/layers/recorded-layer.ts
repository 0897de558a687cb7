/**
 * Runs a layer that has no implementation of its own through tfjs, records the call on tfjs's tape, and differentiates it from
 * that record. There is one record per (layer, shard), because a tape over all shards would sum their gradients in tape
 * order instead of tree order.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { ModelError } from '../../../shared/errors.js';
import { attributeError, isTyped } from '../../../shared/user-code.js';
import type { Layer, LayerVariable } from '../layer.js';
import { perTensor, type ActiveShard, type LayerOp, type LayerServices } from '../layer-op.js';
import { WriteGuard, requireDeclaredSizes, requireEqualResults, withoutRandomOps } from './call-guard.js';
import { RandomDraws } from './random-draws.js';
import { RandomLayers } from './random-layers.js';
import { backpropagate, record, release, type Recording } from './tape.js';

export function recorded(layer: Layer, services: LayerServices): LayerOp {
  const { tf, weightIndex, needsInputGradient, node, inference } = services;
  const weights = layer.trainableWeights as unknown as LayerVariable[];
  const guarded = new GuardedCall(layer, services);
  const outputsOf = (shards: readonly (readonly Tensor[])[]) => perTensor(node.outputs.length, shards);

  return {
    forward: (context, inputs, masks = []) => {
      const training = context.training && !inference;
      const shardInputs = context.shards.map((_, i) =>
        distinct(inputs.map((tensors) => tensors[i] as Tensor)),
      );
      const calls = shardInputs.map((tensors, i): LayerCall => {
        const shard = context.shards[i] as ActiveShard;
        return { inputs: tensors, shard, step: context.step, training, mask: masks[i] };
      });
      if (!context.training)
        return { outputs: outputsOf(calls.map((call) => guarded.run(call))), backward: () => [] };
      const recordings = calls.map((call) => {
        const recording = record(tf, () => guarded.run(call));
        guarded.compareRepeat(call, recording.outputs);
        return recording;
      });
      return {
        outputs: outputsOf(recordings.map(({ outputs }) => outputs)),
        backward: (gradients) => {
          const inputGradients = context.shards.map((shard, i) => {
            const tensors = shardInputs[i] ?? [];
            const variables = weights.map((weight) => weight.read());
            const recording = recordings[i] as Recording;
            const dys = gradients.map((perShard) => perShard[i] as Tensor);
            const targets = needsInputGradient ? [...variables, ...tensors] : variables;
            const found = inLayer(layer, 'gradient', () => backpropagate(tf, recording, dys, targets, layer));
            for (const [w, weight] of weights.entries()) {
              context.gradient(weightIndex(weight), shard, found[w] as Tensor);
            }
            release(recording);
            return found.slice(variables.length);
          });
          return needsInputGradient ? perTensor(inputs.length, inputGradients) : [];
        },
      };
    },
  };
}

interface LayerCall {
  readonly inputs: Tensor[];
  readonly shard: ActiveShard;
  readonly step: number;
  readonly training: boolean;
  readonly mask: Tensor | undefined;
}

/** Calls a layer with the run's random numbers, and refuses a layer whose call has side effects. */
class GuardedCall {
  readonly #layer: Layer;
  readonly #services: LayerServices;
  readonly #random: RandomLayers;
  /** True once a call in training has been repeated and compared. */
  #repeated = false;

  constructor(layer: Layer, services: LayerServices) {
    this.#layer = layer;
    this.#services = services;
    this.#random = new RandomLayers(services.tf, layer);
  }

  /** Returns outputs that are tensors of their own. @throws ModelError that names the layer */
  run(call: LayerCall): Tensor[] {
    const writes = new WriteGuard(this.#services.tf, this.#layer, this.#mustRepeat(call));
    const outputs = this.#callWithDraws(call);
    writes.check();
    requireDeclaredSizes(this.#services.node, outputs, call.shard.count);
    return outputs;
  }

  /**
   * Repeats the first call in training and compares the results. Must not be called while a tape records, because the tape would keep
   * the activations of the repeated call until the backward pass.
   * @param outputs the results of `run` for this call
   * @throws ModelError that names the layer if they differ
   */
  compareRepeat(call: LayerCall, outputs: readonly Tensor[]): void {
    if (!this.#mustRepeat(call)) return;
    this.#services.tf.tidy(() => requireEqualResults(this.#layer, outputs, this.#callWithDraws(call)));
    this.#repeated = true;
  }

  #mustRepeat({ training }: LayerCall): boolean {
    return training && !this.#repeated;
  }

  #callWithDraws(call: LayerCall): Tensor[] {
    const draws = new RandomDraws(this.#services, call);
    return this.#random.with(draws, () =>
      withoutRandomOps(this.#services.tf, this.#layer, () => this.#call(call)),
    );
  }

  #call({ inputs, training, mask }: LayerCall): Tensor[] {
    const kwargs = mask ? { training, mask } : { training };
    // tfjs passes a list, of a single input as well, and custom layers rely on it.
    const result = inLayer(
      this.#layer,
      'call',
      () => this.#layer.apply([...inputs], kwargs) as Tensor | Tensor[],
      mask ? ` tfjs calls it with a mask of the shape [${mask.shape.join(', ')}].` : '',
    );
    const foreign = new Set<Tensor>(inputs);
    for (const weight of this.#layer.weights) foreign.add(weight.read());
    return (Array.isArray(result) ? result : [result]).map((output) => {
      const shared = foreign.has(output) || output.kept || 'assign' in output;
      const own = shared ? output.clone() : output;
      foreign.add(own);
      return own;
    });
  }
}

/**
 * Runs tfjs's or the user's code of a layer.
 * @throws ModelError that names the layer if tfjs fails; an error of a custom layer's own code remains the user's
 */
export function inLayer<T>(layer: Layer, method: 'call' | 'gradient', body: () => T, note = ''): T {
  try {
    return body();
  } catch (error) {
    const attributed = attributeError(error);
    if (attributed !== error || !(error instanceof Error) || isTyped(error)) throw attributed;
    throw new ModelError(
      `Layer "${layer.name}" (${layer.getClassName()}): its ${method} failed in tfjs with "${error.message.replace(/\.$/, '')}". ` +
        `Change the layer's options, or replace it.${note}`,
      { layer: layer.name },
      error,
    );
  }
}

/** Clones a tensor that appears more than once, so that each input has a gradient of its own. */
function distinct(tensors: readonly Tensor[]): Tensor[] {
  return tensors.map((tensor, i) => (tensors.indexOf(tensor) < i ? tensor.clone() : tensor));
}
