/**
 * Runs a tf.LayersModel over the local shards, forward and backward, node by node. One layer runs on all shards before
 * the next layer runs. Every worker therefore reaches the collective of a BatchNorm after the same layers. The
 * gradients of a layer can be sent as soon as its backward pass is done.
 *
 * All calls must run inside a tf.tidy. Activations and gradients are freed as soon as no later node needs them.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import { ModelError, invariant } from '../../shared/errors.js';
import type { CollectiveRegistrar } from '../communicator/communicator.js';
import type { Tensorflow } from '../../api/tensorflow.js';
import { unmeasured, type Measure } from '../timing/tracer.js';
import type { Kernels } from '../kernels/kernels.js';
import { graphForLoss } from './final-activation.js';
import { fuse, type FusedNode } from './fusion.js';
import { isBatchNorm } from './inner-layers.js';
import { layerPaths, weightsOf } from './model-weights.js';
import type { Layer, LayerVariable } from './layer.js';
import type { Forward, LayerOp, PassContext, ShardedTensors, StepContext } from './layer-op.js';
import { implementationOf } from './layers/implementations.js';
import { refusalOf } from './layers/refusals.js';
import { MaskFlow, hasMasks } from './masks.js';

export interface ExecutorOptions {
  readonly tf: Tensorflow;
  readonly kernels: Kernels;
  readonly model: InstanceType<Tensorflow['LayersModel']>;
  readonly communicator: CollectiveRegistrar;
  readonly seed: number;
  /** Statistics of a frozen BatchNormalization in training; by default those of the batch. */
  readonly frozenBatchNorm?: 'batch' | 'inference';
  /** Rules where PyTorch and tfjs differ; by default PyTorch's. */
  readonly arithmetic?: 'pytorch' | 'tfjs';
  /** For each output of the model, true if its last activation is left out; see final-activation.ts. */
  readonly logits?: readonly boolean[];
  /** Records spans for the timeline; by default nothing is measured. */
  readonly measure?: Measure;
}

interface BoundNode {
  readonly node: FusedNode;
  /** Unique name of the layer; see model-weights.ts. */
  readonly name: string;
  readonly op: LayerOp;
}

export class Executor {
  readonly #graph: ReturnType<typeof graphForLoss>;
  /** False if no value of the model can have a mask. */
  readonly #masked: boolean;
  readonly #nodes: readonly BoundNode[];
  readonly #communicator: CollectiveRegistrar;
  readonly #measure: Measure;
  /** Number of gradients per shard that each weight receives: one per call of its layer. */
  readonly uses: ReadonlyMap<number, number>;
  /** Layout indices of the trainable weights, in the order in which the backward pass reaches them. */
  readonly backwardOrder: readonly number[];

  /** @throws ModelError that names a layer that cannot be trained data-parallel, and the reason */
  constructor(options: ExecutorOptions) {
    const { tf, kernels, model, communicator, seed, measure = unmeasured } = options;
    this.#graph = graphForLoss(tf, model, options.logits ?? []);
    this.#masked = hasMasks(tf, this.#graph);
    this.#communicator = communicator;
    this.#measure = measure;
    const paths = layerPaths(model);
    const weights = weightsOf(model);
    const index = new Map(weights.map((variable, i) => [variable, i]));
    const weightIndex = (variable: LayerVariable): number => {
      const found = index.get(variable);
      invariant(found !== undefined, `weight ${variable.originalName} is not one of the model's`);
      return found;
    };
    const trainableBefore = new Set<number>();
    const uses = new Map<number, number>();
    const inference = (layer: Layer): boolean =>
      options.frozenBatchNorm === 'inference' && isBatchNorm(layer) && !layer.trainable;
    const fusion = {
      tails: !this.#masked,
      relu6: kernels.fusesRelu6,
      isBatchNorm: (layer: Layer) => isBatchNorm(layer) && !inference(layer),
    };
    this.#nodes = fuse(this.#graph, fusion).map((node) => {
      const { layer } = node;
      const refusal = node.kind === 'layer' ? refusalOf(layer) : undefined;
      if (refusal !== undefined) {
        throw new ModelError(
          `Layer "${layer.name}" (${layer.getClassName()}) cannot be trained data-parallel: ${refusal}.`,
        );
      }
      const needsInputGradient = node.inputs.some((valueId) => trainableBefore.has(valueId));
      const trainable = trainableWeights(node);
      if (needsInputGradient || trainable.length > 0)
        for (const valueId of node.outputs) trainableBefore.add(valueId);
      for (const variable of trainable)
        uses.set(weightIndex(variable), (uses.get(weightIndex(variable)) ?? 0) + 1);
      const services = {
        tf,
        kernels,
        seed,
        node,
        inference: inference(layer),
        arithmetic: options.arithmetic ?? 'pytorch',
        needsInputGradient,
        weightIndex,
        register: communicator.register.bind(communicator),
      };
      return {
        node,
        name: paths.get(layer) ?? layer.name,
        op: implementationOf(layer, services),
      };
    });
    this.uses = uses;
    const order = [...this.#nodes].reverse().flatMap(({ node }) => trainableWeights(node).map(weightIndex));
    this.backwardOrder = [...new Set(order)];
  }

  /**
   * Runs the forward pass, `loss` on the outputs, and the backward pass. Gradients are passed to `context.gradient` as they
   * become available.
   * @param inputs [model input][active shard], float32 [samples, ...]; disposed here
   * @param loss takes [model output][active shard] and returns the gradients by them in the same order
   */
  train(step: StepContext, inputs: ShardedTensors, loss: (outputs: ShardedTensors) => ShardedTensors): void {
    const deferred: (() => void)[] = [];
    const runDeferred = (): void => {
      for (const work of deferred.splice(0)) work();
    };
    let current = '';
    const context: PassContext = {
      ...step,
      defer: (work) => {
        const layer = current;
        deferred.push(() => this.#measure('backward', layer, work));
      },
      runDeferred,
    };
    const values: (readonly Tensor[] | undefined)[] = [];
    this.#graph.inputs.forEach((valueId, i) => (values[valueId] = inputs[i]));
    const masks = this.#maskFlows(step);
    const passes = this.#nodes.map(({ node, name, op }, index): Forward => {
      const inputs = valuesAt(values, node.inputs);
      const pass = this.#measure('forward', name, () => forward(op, context, node, inputs, masks));
      node.outputs.forEach((valueId, i) => (values[valueId] = pass.outputs[i]));
      step.observe?.(index, name, pass.outputs);
      this.#communicator.tick();
      return pass;
    });

    const gradients: (Tensor[] | undefined)[] = [];
    const accumulate = (valueId: number, more: readonly Tensor[]): void => {
      const held = gradients[valueId];
      gradients[valueId] = held ? held.map((tensor, i) => replaceSum(tensor, more[i] as Tensor)) : [...more];
    };
    const outputGradients = this.#measure('loss', 'loss', () => loss(valuesAt(values, this.#graph.outputs)));
    this.#graph.outputs.forEach((valueId, i) => accumulate(valueId, outputGradients[i] ?? []));

    for (const [i, { node, name, op }] of [...this.#nodes.entries()].reverse()) {
      current = name;
      // Deferred work holds tensors, so it runs before the backward pass of the preceding layer with weights. If the
      // backward pass of that layer waits for other workers, it calls `runDeferred` itself during this wait.
      if (op.overlapsCommunication !== true && trainableWeights(node).length > 0) runDeferred();
      const arrived = node.outputs.map((valueId, output) => {
        // The loss does not depend on this output.
        const missing = () => (passes[i]?.outputs[output] ?? []).map((tensor) => tensor.zerosLike());
        return gradients[valueId] ?? missing();
      });
      const inputGradients = this.#measure('backward', name, () => passes[i]?.backward(arrived) ?? []);
      node.inputs.forEach((valueId, input) => {
        const more = inputGradients[input];
        if (more) accumulate(valueId, more);
      });
      // The nodes that read this node's outputs follow it in the model, and their backward passes are done. Only
      // deferred work can still read the outputs and their gradients, so they are freed after it.
      const free = (): void => {
        for (const valueId of node.outputs) {
          dispose(gradients[valueId]);
          dispose(values[valueId]);
        }
      };
      if (deferred.length > 0) deferred.push(free);
      else free();
      this.#communicator.tick();
    }
    runDeferred();
    for (const valueId of this.#graph.inputs) dispose(values[valueId]);
  }

  /** Runs inference on shards of any size with the running statistics. @returns [model output][shard], owned by the caller's tidy */
  infer(step: StepContext, inputs: ShardedTensors): ShardedTensors {
    const context: PassContext = { ...step, defer: (work) => work(), runDeferred: () => undefined };
    const values: (readonly Tensor[] | undefined)[] = [];
    this.#graph.inputs.forEach((valueId, i) => (values[valueId] = inputs[i]));
    const lastUse = new Map<number, number>();
    this.#nodes.forEach(({ node }, i) => node.inputs.forEach((valueId) => lastUse.set(valueId, i)));
    const masks = this.#maskFlows(step);
    this.#nodes.forEach(({ node, op }, i) => {
      const { outputs } = forward(op, context, node, valuesAt(values, node.inputs), masks);
      node.outputs.forEach((valueId, output) => (values[valueId] = outputs[output]));
      for (const valueId of node.inputs) {
        if (lastUse.get(valueId) === i && !this.#graph.outputs.includes(valueId)) dispose(values[valueId]);
      }
    });
    this.#communicator.tick();
    return valuesAt(values, this.#graph.outputs);
  }

  /** One flow per active shard, or none if the model has no masks. */
  #maskFlows({ shards, training }: StepContext): MaskFlow[] {
    return this.#masked ? shards.map(() => new MaskFlow(this.#graph.scopes, training)) : [];
  }

  /** Makes the step's running statistics permanent. */
  commit(): void {
    for (const { op } of this.#nodes) op.commit?.();
  }
}

/** @param masks one per active shard, or none */
function forward(
  op: LayerOp,
  context: PassContext,
  node: FusedNode,
  inputs: ShardedTensors,
  masks: readonly MaskFlow[],
): Forward {
  if (masks.length === 0) return op.forward(context, inputs);
  const shardMasks = masks.map((flow) => flow.enter(node));
  const inputMasks = masks.map((flow) => flow.inputMasks(node));
  const pass = op.forward(context, inputs, shardMasks, inputMasks);
  for (const [i, flow] of masks.entries())
    flow.leave(
      node,
      inputs.map((tensors) => tensors[i] as Tensor),
    );
  return pass;
}

/** The weights that the node's layer trains; none for the ends of a dissolved TimeDistributed. */
function trainableWeights({ layer, kind }: FusedNode): readonly LayerVariable[] {
  return kind === 'layer' ? layer.trainableWeights : [];
}

function valuesAt(
  values: readonly (readonly Tensor[] | undefined)[],
  valueIds: readonly number[],
): ShardedTensors {
  return valueIds.map((valueId) => {
    const value = values[valueId];
    invariant(value, `value ${valueId} was not computed`);
    return value;
  });
}

function replaceSum(held: Tensor, more: Tensor): Tensor {
  const sum = held.add(more);
  held.dispose();
  return sum;
}

function dispose(tensors: readonly Tensor[] | undefined): void {
  for (const tensor of tensors ?? []) tensor.dispose();
}
