/**
 * The interface between the executor and a layer: the forward pass over all local shards at once, and its backward pass.
 *
 * Values are indexed [tensor][shard]: `inputs[0][2]` is the first input on the third active shard. Everything runs inside one
 * tfjs tidy. An op must not keep a tensor beyond its backward pass. It must not return one of its inputs, but a clone of it.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import type { CollectiveHandle } from '../communicator/communicator.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import type { GradientWriter, Kernels } from '../kernels/kernels.js';
import type { FusedNode } from './fusion.js';
import type { Layer, LayerVariable } from './layer.js';

/** Tensors indexed [tensor][active shard]. */
export type ShardedTensors = readonly (readonly Tensor[])[];

/** A local shard that has samples in the present batch. */
export interface ActiveShard {
  /** Index among this worker's shards, empty ones included; also the index into a collective's inputs. */
  readonly local: number;
  /** First position in the global batch. */
  readonly start: number;
  readonly count: number;
}

export interface StepContext {
  readonly training: boolean;
  /** Counts from 1 over the whole run; 0 outside training. */
  readonly step: number;
  readonly shards: readonly ActiveShard[];
  /**
   * Adds the gradient of one weight on one shard. `value` is a tensor, an array, or a function that writes the gradient to a
   * given vector. The function is called before `gradient` returns. The caller disposes the tensor.
   */
  gradient(weight: number, shard: ActiveShard, value: Tensor | Float32Array | GradientWriter): void;
  /** Receives the outputs of each node in a training step, in forward order; for the diagnosis of non-finite values. */
  observe?(node: number, layer: string, outputs: ShardedTensors): void;
}

/** The context of one pass, with the executor's services for it. */
export interface PassContext extends StepContext {
  /**
   * Defers work of a backward pass whose result no other layer needs: the gradients of the layer's own weights. The work runs
   * when the backward pass reaches the preceding layer with weights, or at the end. If that
   * layer waits for other workers, it runs the work during the wait (`runDeferred`). The inputs and output gradients of this
   * layer stay alive until then.
   */
  defer(work: () => void): void;
  /** Runs the deferred work. Call it between the start of a collective in a backward pass and the wait for it. */
  runDeferred(): void;
}

export interface Forward {
  readonly outputs: ShardedTensors;
  /**
   * Takes the gradients of the loss by the outputs. Returns those by the inputs, or undefined for an input whose gradient is not
   * needed. Called once and only in training, after the backward passes of all nodes that follow this node in the model.
   */
  readonly backward: (gradients: ShardedTensors) => readonly (readonly Tensor[] | undefined)[];
}

export interface LayerOp {
  /** True if the backward pass calls `runDeferred`. */
  readonly overlapsCommunication?: boolean;
  /**
   * @param masks the mask that tfjs would call the layer with, per active shard; absent in a model without masks
   * @param inputMasks the masks of all inputs, [active shard][input]; absent in a model without masks
   */
  forward(
    context: PassContext,
    inputs: ShardedTensors,
    masks?: readonly (Tensor | undefined)[],
    inputMasks?: readonly (readonly (Tensor | undefined)[])[],
  ): Forward;
  /** Makes the step's side effects (running statistics) permanent. Called before the optimizer's update. */
  commit?(): void;
}

/** The services that a layer's implementation may use, constant during a generation. */
export interface LayerServices {
  readonly tf: Tensorflow;
  readonly kernels: Kernels;
  readonly seed: number;
  /** The layer's node, with the nodes that are fused into it. */
  readonly node: FusedNode;
  /**
   * True if training calls the layer as inference does. This holds for a frozen BatchNormalization with `frozenBatchNorm:
   * 'inference'`.
   */
  readonly inference: boolean;
  /** Rules where PyTorch and tfjs differ. */
  readonly arithmetic: 'pytorch' | 'tfjs';
  /** False if no trainable weight precedes this node. */
  readonly needsInputGradient: boolean;
  /** Index of a layer's variable in the layout. */
  weightIndex(variable: LayerVariable): number;
  register(spec: Omit<CollectiveSpec, 'id'>): CollectiveHandle;
}

/** Makes the op of a layer of one class; undefined if it does not support this configuration of the layer. */
export type LayerImplementation = (layer: Layer, services: LayerServices) => LayerOp | undefined;

/** Makes the op of a layer with one input and one output: forward shard by shard, each with its own backward pass. */
export function shardwise(
  forward: (
    x: Tensor,
    shard: ActiveShard,
    context: PassContext,
  ) => [Tensor, (dy: Tensor) => Tensor | undefined],
): LayerOp {
  return {
    forward: (context, inputs) => {
      const results = context.shards.map((shard, i) => forward(singleTensor(inputs, i), shard, context));
      return {
        outputs: [results.map(([y]) => y)],
        backward: (gradients) => {
          const inputGradients = results.map(([, backward], i) => backward(singleTensor(gradients, i)));
          const wanted = inputGradients.filter((gradient) => gradient !== undefined);
          return [wanted.length === results.length ? wanted : undefined];
        },
      };
    },
  };
}

/** Returns the only tensor of a single-tensor layer on active shard `shard`. @throws RangeError if there is none */
export function singleTensor(tensors: ShardedTensors, shard: number): Tensor {
  const tensor = tensors[0]?.[shard];
  if (!tensor) throw new RangeError(`no tensor for shard ${shard}`);
  return tensor;
}

/** Converts [shard][tensor] to [tensor][shard]. The result has `count` entries, also if there are no shards. */
export function perTensor(count: number, shards: readonly (readonly Tensor[])[]): Tensor[][] {
  return Array.from({ length: count }, (_, i) => shards.map((tensors) => tensors[i] as Tensor));
}
