/**
 * What the executor knows of a layer: forward over all local shards at once, and the backward pass that belongs to it.
 *
 * Values are indexed [tensor][shard]: `inputs[0][2]` is the first input on the third active shard. Everything runs
 * inside one tfjs tidy; an op must not keep a tensor beyond its backward pass, nor return one of its inputs (clone it).
 */

import type { Tensor, layers } from '@tensorflow/tfjs';
import type { CollectiveSpec } from '../../shared/collectives/collective-spec.js';
import type { CollectiveHandle } from '../communicator/communicator.js';
import type { Tensorflow } from '../engine/native.js';
import type { GradientWriter, Kernels } from '../kernels/kernels.js';
import type { FusedNode } from './fusion.js';

export type Layer = layers.Layer;
/** [tensor][shard] */
export type ShardedTensors = readonly (readonly Tensor[])[];

/** A local shard that has samples in this batch. */
export interface ActiveShard {
  /** Index among this worker's shards, empty ones included: the index into an exchange's inputs. */
  readonly local: number;
  /** Positions in the global batch. */
  readonly start: number;
  readonly count: number;
}

export interface StepContext {
  readonly training: boolean;
  /** Counts from 1 over the whole run; 0 outside training. */
  readonly step: number;
  readonly shards: readonly ActiveShard[];
  /** Hands over the gradient of one weight on one shard. A Tensor stays the caller's; a writer is called before this returns. */
  gradient(weight: number, shard: ActiveShard, value: Tensor | Float32Array | GradientWriter): void;
}

/** What the executor adds for the layers of one pass. */
export interface PassContext extends StepContext {
  /**
   * Puts off work of a backward pass that no other layer waits for (the gradients of its own weights): it is done while this
   * worker waits for the others, at the latest before the next layer with weights and without a wait. What the layer was
   * given stays alive until then.
   */
  defer(work: () => void): void;
  /** Does what was put off. To be called between the start of an exchange in a backward pass and the wait for it. */
  runDeferred(): void;
}

export interface Forward {
  readonly outputs: ShardedTensors;
  /**
   * Gradients by the outputs in, gradients by the inputs out (undefined where nobody asked). Called once, in training
   * only, after the backward passes of every later node.
   */
  readonly backward: (gradients: ShardedTensors) => readonly (readonly Tensor[] | undefined)[];
}

export interface LayerOp {
  /** Its backward pass calls `meanwhile`. */
  readonly overlapsCommunication?: boolean;
  forward(context: PassContext, inputs: ShardedTensors): Forward;
  /** Makes this step's side effects (moving statistics) permanent. Called after the optimizer's update. */
  commit?(): void;
}

/** What a layer's implementation may use; the same for the life of a generation. */
export interface LayerServices {
  readonly tf: Tensorflow;
  readonly kernels: Kernels;
  readonly seed: number;
  /** The node, with what is fused into it. */
  readonly node: FusedNode;
  /** False where no trainable weight lies before this node. */
  readonly needsInputGradient: boolean;
  /** Index of a layer's variable in the layout. */
  weightIndex(variable: LayerVariable): number;
  register(spec: Omit<CollectiveSpec, 'id'>): CollectiveHandle;
}

/** tfjs's LayerVariable, as far as it is used here. */
export interface LayerVariable {
  readonly shape: readonly (number | null)[];
  readonly trainable: boolean;
  readonly originalName: string;
  read(): Tensor;
  write(value: Tensor): void;
}

/** Layer implementations for one class; undefined: this configuration of the layer isn't its business. */
export type LayerImplementation = (layer: Layer, services: LayerServices) => LayerOp | undefined;

/** A layer's own fields, which tfjs declares protected. */
export function fieldsOf<T>(layer: Layer): T {
  return layer as unknown as T;
}

/** For a layer with one input and one output: forward shard by shard, each with its own backward. */
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

/** The one tensor of a single-tensor layer on active shard `shard`. */
export function singleTensor(tensors: ShardedTensors, shard: number): Tensor {
  const tensor = tensors[0]?.[shard];
  if (!tensor) throw new RangeError(`no tensor for shard ${shard}`);
  return tensor;
}
