/**
 * Runs a layer that has no implementation of its own through tfjs, records the call on tfjs's tape, and differentiates it from
 * that record. There is one record per (layer, shard), because a tape over all shards would sum their gradients in tape
 * order instead of tree order.
 */

import type { Tensor } from '@tensorflow/tfjs';
import { ModelError } from '../../../shared/errors.js';
import { attributeError, isTyped } from '../../../shared/user-code.js';
import type { Layer, LayerVariable } from '../layer.js';
import type { ActiveShard, LayerOp, LayerServices, PassContext } from '../layer-op.js';
import { WriteGuard, requireDeclaredSizes, requireEqualResults, withoutRandomOps } from './call-guard.js';
import { RandomDraws } from './random-draws.js';
import { RandomLayers } from './random-layers.js';
import { backpropagate, record, release, type Recording } from './tape.js';

export function recorded(layer: Layer, services: LayerServices): LayerOp {
  const { tf, weightIndex, needsInputGradient, node, inference } = services;
  const weights = layer.trainableWeights as unknown as LayerVariable[];
  const guarded = new GuardedCall(layer, services);
  const outputsOf = (shards: readonly (readonly Tensor[])[]) => transpose(shards, node.outputs.length);

  return {
    forward: (context, inputs, masks = []) => {
      const training = context.training && !inference;
      const shardInputs = context.shards.map((_, i) =>
        distinct(inputs.map((tensors) => tensors[i] as Tensor)),
      );
      const call = (tensors: Tensor[], i: number): Tensor[] =>
        guarded.run(tensors, context, context.shards[i] as ActiveShard, training, masks[i]);
      if (!context.training) return { outputs: outputsOf(shardInputs.map(call)), backward: () => [] };
      const recordings = shardInputs.map((tensors, i) => record(tf, () => call(tensors, i)));
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
          return needsInputGradient ? transpose(inputGradients, inputs.length) : [];
        },
      };
    },
  };
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
  run(
    inputs: Tensor[],
    { step }: Pick<PassContext, 'step'>,
    shard: ActiveShard,
    training: boolean,
    mask: Tensor | undefined,
  ): Tensor[] {
    const { tf } = this.#services;
    const repeat = training && !this.#repeated;
    const writes = new WriteGuard(tf, this.#layer, repeat);
    const call = (): Tensor[] => {
      const draws = new RandomDraws(this.#services, { shard, step });
      return this.#random.with(draws, () =>
        withoutRandomOps(tf, this.#layer, () => this.#call(inputs, training, mask)),
      );
    };
    const outputs = call();
    writes.check();
    requireDeclaredSizes(this.#services.node, outputs, shard.count);
    if (repeat) {
      tf.tidy(() => requireEqualResults(this.#layer, outputs, call()));
      this.#repeated = true;
    }
    return outputs;
  }

  #call(inputs: Tensor[], training: boolean, mask: Tensor | undefined): Tensor[] {
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

/** Converts [shard][tensor] to [tensor][shard], with `count` tensors even if there are no shards. */
function transpose(rows: readonly (readonly Tensor[])[], count: number): Tensor[][] {
  return Array.from({ length: count }, (_, i) => rows.map((row) => row[i] as Tensor));
}
