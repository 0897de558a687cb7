/**
 * The activation of the layer that computes an output, and the graph without it: a loss on logits then contains the activation,
 * which is more accurate than the logarithm of probabilities. The model itself is not changed.
 */

import type { Tensor } from '@tensorflow/tfjs-core';
import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import type { Tensorflow } from '../../api/tensorflow.js';
import { buildGraph, type Graph, type GraphNode } from './graph.js';
import { fieldsOf, type Layer } from './layer.js';
import { isContainer } from './model-weights.js';

/** Layers that apply their activation to their whole output. */
const withActivation = [
  'Activation',
  'Dense',
  'Conv1D',
  'Conv2D',
  'Conv2DTranspose',
  'Conv3D',
  'Conv3DTranspose',
  'DepthwiseConv2D',
  'SeparableConv2D',
];

interface NestedFields {
  readonly outputs: readonly SymbolicTensor[];
  readonly layer?: Layer;
}

/** Returns the name of the activation of each output, `linear` if it has none, in tfjs's words. */
export function finalActivations({ outputs }: LayersModel): string[] {
  return outputs.map((output: SymbolicTensor) => activationOf(output));
}

function activationOf(output: SymbolicTensor): string {
  const layer = output.sourceLayer;
  if (!isContainer(layer)) return activationOfLayer(layer, output.shape.length);
  const inner = fieldsOf<NestedFields>(layer).outputs[output.outputTensorIndex ?? 0];
  return inner ? activationOf(inner) : 'linear';
}

/** @param rank of the layer's output; a layer inside TimeDistributed has no shape of its own */
function activationOfLayer(layer: Layer, rank: number): string {
  const name = layer.getClassName();
  const { layer: wrapped } = fieldsOf<NestedFields>(layer);
  if (name === 'TimeDistributed' && wrapped && !isContainer(wrapped))
    return activationOfLayer(wrapped, rank - 1);
  const { activation, axis } = layer.getConfig();
  if (name === 'Softmax')
    return axis === undefined || axis === -1 || axis === rank - 1 ? 'softmax' : 'linear';
  return withActivation.includes(name) && typeof activation === 'string' ? activation : 'linear';
}

/** Returns true for each output whose activation can be left out: no other layer reads it, and it is an output once. */
export function separableOutputs({ nodes, outputs }: Graph): boolean[] {
  return outputs.map((valueId) => {
    const isRead = nodes.some(({ inputs }) => inputs.includes(valueId));
    const node = nodes.find((one) => one.outputs.includes(valueId));
    return !isRead && node?.kind === 'layer' && outputs.filter((other) => other === valueId).length === 1;
  });
}

/** Builds the model's graph without the activations of the outputs that `logits` selects, which must be separable. */
export function graphForLoss(tf: Tensorflow, model: LayersModel, logits: readonly boolean[]): Graph {
  const graph = buildGraph(model, true);
  const selected = new Set(graph.outputs.filter((_, i) => logits[i] === true));
  if (selected.size === 0) return graph;
  const nodes = graph.nodes.map((node): GraphNode => {
    const isSelected = node.outputs.some((valueId) => selected.has(valueId));
    return isSelected ? { ...node, layer: linear(tf, node.layer) } : node;
  });
  return { ...graph, nodes };
}

/** Returns an object that behaves like the layer, with the same weights, and has no activation. */
function linear(tf: Tensorflow, layer: Layer): Layer {
  const name = layer.getClassName();
  const { layer: wrapped } = fieldsOf<NestedFields>(layer);
  if (name === 'TimeDistributed' && wrapped)
    return Object.create(layer, { layer: { value: linear(tf, wrapped) } }) as Layer;
  const isAlone = name === 'Softmax' || name === 'Activation';
  const { activation } = fieldsOf<{ activation: unknown }>(tf.layers.activation({ activation: 'linear' }));
  const identity = (inputs: Tensor | Tensor[]): Tensor =>
    Array.isArray(inputs) ? (inputs[0] as Tensor) : inputs;
  return Object.create(layer, {
    activation: { value: activation },
    getConfig: { value: () => ({ ...layer.getConfig(), activation: 'linear' }) },
    ...(isAlone ? { getClassName: { value: () => 'Activation' }, call: { value: identity } } : {}),
  }) as Layer;
}
