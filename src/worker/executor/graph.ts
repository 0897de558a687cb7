/**
 * Converts a tf.LayersModel into a list of nodes in the topological order in which tfjs itself calls the layers. Nested models
 * are dissolved, and so is a TimeDistributed around a BatchNormalization, so that a BatchNormalization in a nested block is
 * synchronized like any other. The model is only read.
 */

import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs';
import { InvariantError, ModelError } from '../../shared/errors.js';
import { containsBatchNorm } from './inner-layers.js';
import { fieldsOf, type Layer } from './layer.js';
import { isContainer } from './model-weights.js';

/** The shape of a value; null for a dimension that is not known before the model runs. */
export type SymbolicShape = readonly (number | null)[];

/** One call of one layer. Its inputs and outputs are ids of the values that flow between nodes. */
export interface GraphNode {
  readonly layer: Layer;
  /** `unstack` and `stack` are the ends of a dissolved TimeDistributed, which is their `layer`; they have no weights. */
  readonly kind: 'layer' | 'unstack' | 'stack';
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly inputShapes: readonly SymbolicShape[];
  /** Index in `Graph.scopes` of the model call that the node belongs to. */
  readonly scope: number;
}

/** A call of a model: of the whole model (the first), or of a nested one. */
export interface GraphScope {
  readonly parent: number;
  /** Values that the model is called with. */
  readonly inputs: readonly number[];
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly scopes: readonly GraphScope[];
}

interface InboundNode {
  readonly inputTensors: readonly SymbolicTensor[];
  readonly outputTensors: readonly SymbolicTensor[];
}

/** A model as tfjs's Container, which may also take the place of a layer. Of an ordinary layer, only `inboundNodes` is used. */
interface ContainerFields {
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
  readonly inboundNodes: readonly InboundNode[];
}

/** The symbolic tensors of one call of a model that have values. */
interface Scope {
  readonly index: number;
  readonly values: Map<number, number>;
}

/** @throws ModelError if the model is not built, or an output does not depend on its inputs */
export function buildGraph(model: LayersModel): Graph {
  // A Sequential has no inputs until its first layer has an input shape.
  if ((model.inputs as unknown) === undefined || model.inputs.length === 0) {
    throw new ModelError(
      `Model "${model.name}": expected a built model, got one without an input shape. ` +
        'Give the first layer an inputShape.',
    );
  }
  return new GraphBuilder(model.name).build(fieldsOf<ContainerFields>(model));
}

class GraphBuilder {
  readonly #modelName: string;
  readonly #nodes: GraphNode[] = [];
  readonly #scopes: GraphScope[] = [];
  #values = 0;

  constructor(modelName: string) {
    this.#modelName = modelName;
  }

  build(model: ContainerFields): Graph {
    const inputs = model.inputs.map(() => this.#values++);
    const outputs = this.#callModel(model, inputs, 0);
    return { nodes: this.#nodes, inputs, outputs, scopes: this.#scopes };
  }

  #callModel(model: ContainerFields, inputs: readonly number[], parent: number): number[] {
    const scope = { index: this.#scopes.length, values: new Map<number, number>() };
    this.#scopes.push({ parent, inputs });
    for (const [i, input] of model.inputs.entries()) scope.values.set(input.id, inputs[i] ?? -1);
    return model.outputs.map((output) => this.#resolve(output, scope));
  }

  /** Returns the value id of a symbolic tensor, after adding the nodes that compute it. */
  #resolve(tensor: SymbolicTensor, scope: Scope): number {
    const known = scope.values.get(tensor.id);
    if (known !== undefined) return known;
    const layer = tensor.sourceLayer;
    const inbound = fieldsOf<ContainerFields>(layer).inboundNodes[tensor.nodeIndex];
    if (!inbound || inbound.inputTensors.some((input) => input.id === tensor.id)) {
      throw new ModelError(
        `Model "${this.#modelName}": layer "${layer.name}" is not connected to the model's inputs.`,
      );
    }
    const inputs: number[] = [];
    // tfjs computes the last input first. The order matters to a BatchNormalization that is called twice.
    for (const [i, input] of [...inbound.inputTensors.entries()].reverse())
      inputs[i] = this.#resolve(input, scope);
    const shapes = inbound.inputTensors.map(({ shape }) => shape);
    const outputs = this.#call(layer, inputs, shapes, inbound.outputTensors.length, scope.index);
    for (const [i, output] of inbound.outputTensors.entries()) scope.values.set(output.id, outputs[i] ?? -1);
    const valueId = scope.values.get(tensor.id);
    if (valueId === undefined)
      throw new InvariantError(`layer "${layer.name}" has an output without a value`);
    return valueId;
  }

  #call(
    layer: Layer,
    inputs: readonly number[],
    shapes: readonly SymbolicShape[],
    outputCount: number,
    scope: number,
  ): number[] {
    const container = fieldsOf<ContainerFields>(layer);
    if (isContainer(layer)) return this.#callModel(container, inputs, scope);
    if (layer.getClassName() === 'TimeDistributed' && containsBatchNorm(layer))
      return this.#callPerTimeStep(layer, inputs, shapes[0] ?? [], scope);
    return this.#add(layer, 'layer', inputs, shapes, outputCount, scope);
  }

  /** Calls the inner layer of a TimeDistributed once per time step, as tfjs does. */
  #callPerTimeStep(layer: Layer, inputs: readonly number[], shape: SymbolicShape, scope: number): number[] {
    const { layer: inner } = fieldsOf<{ layer: Layer }>(layer);
    const [samples = null, timeSteps, ...rest] = shape;
    if (typeof timeSteps !== 'number') {
      throw new ModelError(
        `Layer "${layer.name}" (TimeDistributed): expected a known number of time steps, since it contains a ` +
          `BatchNormalization, got the input shape [${shape.map(String).join(', ')}]. Give the model's input its length.`,
      );
    }
    const innerShape = [samples, ...rest];
    const steps = this.#add(layer, 'unstack', inputs, [shape], timeSteps, scope);
    const outputs = steps.flatMap((step) => this.#call(inner, [step], [innerShape], 1, scope));
    const shapes = outputs.map(() => innerShape);
    return this.#add(layer, 'stack', outputs, shapes, 1, scope);
  }

  #add(
    layer: Layer,
    kind: GraphNode['kind'],
    inputs: readonly number[],
    inputShapes: readonly SymbolicShape[],
    outputCount: number,
    scope: number,
  ): number[] {
    const outputs = Array.from({ length: outputCount }, () => this.#values++);
    this.#nodes.push({ layer, kind, inputs, outputs, inputShapes, scope });
    return outputs;
  }
}
