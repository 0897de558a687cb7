/**
 * From a tf.LayersModel to a list of nodes in topological order. Models inside models are dissolved, so that a
 * BatchNormalization in a nested block is synchronized like any other. Reads the model; never changes it.
 */

import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs';
import { InvariantError, ModelError } from '../../shared/errors.js';
import { fieldsOf, type Layer } from './layer-op.js';

/** One call of one layer. Slots number the values that flow between nodes. */
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

/** tfjs's Container: a model, also when it stands where a layer can. */
interface ContainerFields {
  readonly layers?: readonly Layer[];
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
  readonly inboundNodes: readonly InboundNode[];
}

type Scope = Map<number, number>;

/** @throws ModelError when the model isn't built or an output doesn't depend on its inputs. */
export function buildGraph(model: LayersModel): Graph {
  // A Sequential has no inputs before its first layer knows its input shape.
  if ((model.inputs as unknown) === undefined || model.inputs.length === 0) {
    throw new ModelError(
      `Model "${model.name}": expected a built model, got one without an input shape. ` +
        'Give the first layer an inputShape.',
    );
  }
  const nodes: GraphNode[] = [];
  let slots = 0;
  const newSlot = (): number => slots++;

  /** Slots of a symbolic tensor; `scope` maps those of the surrounding model that are known. */
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
      outputs = inbound.outputTensors.map(newSlot);
      nodes.push({ layer, inputs, outputs });
    }
    for (const [i, output] of inbound.outputTensors.entries()) scope.set(output.id, outputs[i] ?? -1);
    const slot = scope.get(tensor.id);
    if (slot === undefined) throw new InvariantError(`layer "${layer.name}" lost one of its outputs`);
    return slot;
  };

  const scope: Scope = new Map();
  const inputs = model.inputs.map((input) => {
    const slot = newSlot();
    scope.set(input.id, slot);
    return slot;
  });
  const outputs = model.outputs.map((output) => resolve(output, scope));
  return { nodes, inputs, outputs };
}
