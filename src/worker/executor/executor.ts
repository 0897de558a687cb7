/**
 * Runs a tf.LayersModel over the list of local shards, forward and backward, node by node. Owns the order of work: one
 * layer on all shards, then the next, so that what crosses shards (BatchNorm) meets where every worker is at the same
 * layer, and gradients leave as soon as a layer's backward pass is done.
 *
 * All calls must run inside a tf.tidy; activations and gradients are freed as soon as the last one to need them is done.
 */

import type { LayersModel, Tensor } from '@tensorflow/tfjs';
import { ModelError, invariant } from '../../shared/errors.js';
import type { CollectiveRegistrar } from '../communicator/communicator.js';
import type { Tensorflow } from '../engine/native.js';
import { unmeasured, type Measure } from '../timing/tracer.js';
import type { Kernels } from '../kernels/kernels.js';
import { fuse, type FusedNode } from './fusion.js';
import { buildGraph, type Graph } from './graph.js';
import type {
  Forward,
  Layer,
  LayerImplementation,
  LayerOp,
  LayerVariable,
  PassContext,
  ShardedTensors,
  StepContext,
} from './layer-op.js';
import { batchNormalization } from './layers/batch-normalization.js';
import { conv2d } from './layers/conv2d.js';
import { dense } from './layers/dense.js';
import { dropout } from './layers/dropout.js';
import { recorded, refusalOf } from './layers/recorded-layer.js';
import { activation, flatten, maxPooling2d, relu } from './layers/simple.js';

const implementations: Readonly<Record<string, LayerImplementation>> = {
  Activation: activation,
  BatchNormalization: batchNormalization,
  Conv2D: conv2d,
  Dense: dense,
  Dropout: dropout,
  Flatten: flatten,
  MaxPooling2D: maxPooling2d,
  ReLU: relu,
};

export interface ExecutorOptions {
  readonly tf: Tensorflow;
  readonly kernels: Kernels;
  readonly model: LayersModel;
  readonly communicator: CollectiveRegistrar;
  readonly seed: number;
  /** For the time line; measures nothing if left out. */
  readonly measure?: Measure;
}

interface BoundNode {
  readonly node: FusedNode;
  readonly op: LayerOp;
}

export class Executor {
  readonly #graph: Graph;
  readonly #nodes: readonly BoundNode[];
  readonly #communicator: CollectiveRegistrar;
  readonly #measure: Measure;
  /** How often each weight gets a gradient a shard: once for each call of its layer. */
  readonly uses: ReadonlyMap<number, number>;
  /** Each once, however often it is called. */
  readonly layers: readonly Layer[];
  /** Trainable weights in the order in which backward reaches them. */
  readonly backwardOrder: readonly number[];

  /** @throws ModelError naming the layer that can't be trained data-parallel, and why. */
  constructor({ tf, kernels, model, communicator, seed, measure = unmeasured }: ExecutorOptions) {
    this.#graph = buildGraph(model);
    this.#communicator = communicator;
    this.#measure = measure;
    const weights = model.weights as unknown as LayerVariable[];
    const index = new Map(weights.map((variable, i) => [variable, i]));
    const weightIndex = (variable: LayerVariable): number => {
      const found = index.get(variable);
      invariant(found !== undefined, `weight ${variable.originalName} is not one of the model's`);
      return found;
    };
    const trainableBefore = new Set<number>();
    const uses = new Map<number, number>();
    this.#nodes = fuse(this.#graph).map((node) => {
      const { layer } = node;
      const refusal = refusalOf(layer);
      if (refusal !== undefined) {
        throw new ModelError(
          `Layer "${layer.name}" (${layer.getClassName()}) can't be trained here: ${refusal}.`,
        );
      }
      const needsInputGradient = node.inputs.some((slot) => trainableBefore.has(slot));
      const trainable = layer.trainableWeights as unknown as LayerVariable[];
      if (needsInputGradient || trainable.length > 0)
        for (const slot of node.outputs) trainableBefore.add(slot);
      for (const variable of trainable)
        uses.set(weightIndex(variable), (uses.get(weightIndex(variable)) ?? 0) + 1);
      const services = {
        tf,
        kernels,
        seed,
        node,
        needsInputGradient,
        weightIndex,
        register: communicator.register.bind(communicator),
      };
      return {
        node,
        op: implementations[layer.getClassName()]?.(layer, services) ?? recorded(layer, services),
      };
    });
    this.uses = uses;
    this.layers = [...new Set(this.#graph.nodes.map(({ layer }) => layer))];
    const order = [...this.#nodes]
      .reverse()
      .flatMap(({ node }) => (node.layer.trainableWeights as unknown as LayerVariable[]).map(weightIndex));
    this.backwardOrder = [...new Set(order)];
  }

  /**
   * Training: forward, `loss` on the outputs, backward. Gradients leave through `context.gradient` on the way.
   * @param inputs [model input][active shard], float32 [samples, ...]; disposed here
   * @param loss given [model output][active shard], returns the gradients by them in the same order
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
    this.#graph.inputs.forEach((slot, i) => (values[slot] = inputs[i]));
    const passes = this.#nodes.map(({ node, op }): Forward => {
      const pass = this.#measure('forward', node.layer.name, () =>
        op.forward(context, valuesAt(values, node.inputs)),
      );
      node.outputs.forEach((slot, i) => (values[slot] = pass.outputs[i]));
      this.#communicator.tick();
      return pass;
    });

    const gradients: (Tensor[] | undefined)[] = [];
    const accumulate = (slot: number, more: readonly Tensor[]): void => {
      const held = gradients[slot];
      gradients[slot] = held ? held.map((tensor, i) => replaceSum(tensor, more[i] as Tensor)) : [...more];
    };
    const outputGradients = this.#measure('loss', 'loss', () => loss(valuesAt(values, this.#graph.outputs)));
    this.#graph.outputs.forEach((slot, i) => accumulate(slot, outputGradients[i] ?? []));

    for (const [i, { node, op }] of [...this.#nodes.entries()].reverse()) {
      current = node.layer.name;
      // One layer's work at a time, so that its tensors don't pile up.
      if (op.overlapsCommunication !== true && node.layer.trainableWeights.length > 0) runDeferred();
      const arrived = node.outputs.map((slot, output) => {
        // An output that the loss doesn't depend on.
        const missing = () => (passes[i]?.outputs[output] ?? []).map((tensor) => tensor.mul(0));
        return gradients[slot] ?? missing();
      });
      const inputGradients = this.#measure(
        'backward',
        node.layer.name,
        () => passes[i]?.backward(arrived) ?? [],
      );
      node.inputs.forEach((slot, input) => {
        const more = inputGradients[input];
        if (more) accumulate(slot, more);
      });
      // Everything after this node is done, and so is this node, but for what is put off: then nobody reads its outputs or
      // their gradients again.
      const free = (): void => {
        for (const slot of node.outputs) {
          dispose(gradients[slot]);
          dispose(values[slot]);
        }
      };
      if (deferred.length > 0) deferred.push(free);
      else free();
      this.#communicator.tick();
    }
    runDeferred();
    for (const slot of this.#graph.inputs) dispose(values[slot]);
  }

  /** Inference on shards of any size, with the running statistics; [model output][shard], owned by the caller's tidy. */
  infer(step: StepContext, inputs: ShardedTensors): ShardedTensors {
    const context: PassContext = { ...step, defer: (work) => work(), runDeferred: () => undefined };
    const values: (readonly Tensor[] | undefined)[] = [];
    this.#graph.inputs.forEach((slot, i) => (values[slot] = inputs[i]));
    const lastUse = new Map<number, number>();
    this.#nodes.forEach(({ node }, i) => node.inputs.forEach((slot) => lastUse.set(slot, i)));
    this.#nodes.forEach(({ node, op }, i) => {
      const { outputs } = op.forward(context, valuesAt(values, node.inputs));
      node.outputs.forEach((slot, output) => (values[slot] = outputs[output]));
      for (const slot of node.inputs) {
        if (lastUse.get(slot) === i && !this.#graph.outputs.includes(slot)) dispose(values[slot]);
      }
    });
    this.#communicator.tick();
    return valuesAt(values, this.#graph.outputs);
  }

  /** Makes the step's moving statistics permanent. */
  commit(): void {
    for (const { op } of this.#nodes) op.commit?.();
  }
}

function valuesAt(
  values: readonly (readonly Tensor[] | undefined)[],
  slots: readonly number[],
): ShardedTensors {
  return slots.map((slot) => {
    const value = values[slot];
    invariant(value, `value ${slot} was not computed`);
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
