/**
 * Converts a tf.LayersModel into a list of nodes in topological order. Nested models are dissolved, so that a
 * BatchNormalization in a nested block is synchronized like any other. The model is only read.
 */

import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs';
import { InvariantError, ModelError } from '../../shared/errors.js';
import { fieldsOf, type Layer } from './layer.js';

/** One call of one layer. Its inputs and outputs are ids of the values that flow between nodes. */
export interface GraphNode {
  readonly layer: Layer;
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

export interface Graph {
  readonly nodes: readonly GraphNode[];
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

interface InboundNode {
  readonly inputTensors: readonly SymbolicTensor[];
  readonly outputTensors: readonly SymbolicTensor[];
}

/** A model as tfjs's Container, which may also take the place of a layer. */
interface ContainerFields {
  readonly layers?: readonly Layer[];
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
  readonly inboundNodes: readonly InboundNode[];
}

type Scope = Map<number, number>;

/** @throws ModelError if the model is not built, or an output does not depend on its inputs */
export function buildGraph(model: LayersModel): Graph {
  // A Sequential has no inputs until its first layer has an input shape.
  if ((model.inputs as unknown) === undefined || model.inputs.length === 0) {
    throw new ModelError(
      `Model "${model.name}": expected a built model, got one without an input shape. ` +
        'Give the first layer an inputShape.',
    );
  }
  const nodes: GraphNode[] = [];
  let valueCount = 0;
  const newValueId = (): number => valueCount++;

  /** Returns the value id of a symbolic tensor; `scope` maps the tensors of the present model that are already resolved. */
  const resolve = (tensor: SymbolicTensor, scope: Scope): number => {
    const known = scope.get(tensor.id);
    if (known !== undefined) return known;
    const layer = tensor.sourceLayer;
    const container = fieldsOf<ContainerFields>(layer);
    const inbound = container.inboundNodes[tensor.nodeIndex];
    if (!inbound || inbound.inputTensors.some((input) => input.id === tensor.id)) {
      throw new ModelError(
        `Model "${model.name}": layer "${layer.name}" is not connected to the model's inputs.`,
      );
    }
    const inputs = inbound.inputTensors.map((input) => resolve(input, scope));
    let outputs: number[];
    if (container.layers) {
      const inner: Scope = new Map(container.inputs.map((input, i) => [input.id, inputs[i] ?? -1]));
      outputs = container.outputs.map((output) => resolve(output, inner));
    } else {
      outputs = inbound.outputTensors.map(newValueId);
      nodes.push({ layer, inputs, outputs });
    }
    for (const [i, output] of inbound.outputTensors.entries()) scope.set(output.id, outputs[i] ?? -1);
    const valueId = scope.get(tensor.id);
    if (valueId === undefined)
      throw new InvariantError(`layer "${layer.name}" has an output without a value`);
    return valueId;
  };

  const scope: Scope = new Map();
  const inputs = model.inputs.map((input) => {
    const valueId = newValueId();
    scope.set(input.id, valueId);
    return valueId;
  });
  const outputs = model.outputs.map((output) => resolve(output, scope));
  return { nodes, inputs, outputs };
}
