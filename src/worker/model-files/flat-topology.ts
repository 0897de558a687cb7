/** The topology of a model as one functional model, nested models dissolved. A layer that is called several times is there once. */

import type { LayersModel, SymbolicTensor } from '@tensorflow/tfjs-layers';
import { InvariantError } from '../../shared/errors.js';
import { fieldsOf, type Layer } from '../executor/layer.js';
import { isContainer, layersOf, UniqueNames } from '../executor/model-weights.js';
import type { CallConfig, LayerConfig, ModelConfig, TensorReference } from './layer-config.js';

/** A call of a layer or of a model, as tfjs records it. */
interface InboundNode {
  readonly inputTensors: readonly SymbolicTensor[];
  readonly outputTensors: readonly SymbolicTensor[];
  readonly callArgs?: Record<string, unknown> | null;
}

interface Called {
  readonly inputs: readonly SymbolicTensor[];
  readonly outputs: readonly SymbolicTensor[];
  readonly inboundNodes: readonly InboundNode[];
}

/** The references that the tensors of one call of a model stand for, by id. */
type Scope = Map<number, TensorReference>;

/**
 * @param topology the JSON of `model`, whose layers have unique names already
 * @param paths the name of each layer in `topology`
 */
export function flatTopology(
  model: LayersModel,
  topology: LayerConfig,
  paths: ReadonlyMap<Layer, string>,
): LayerConfig {
  const configs = new Map<Layer, LayerConfig>();
  collectConfigs(model, topology.config, configs);
  const names = new UniqueNames();
  const taken = new Set([...paths.values()].map((path) => names.take(path)));
  const layers = new Map<string, LayerConfig>();

  const resolve = (tensor: SymbolicTensor, scope: Scope): TensorReference => {
    const known = scope.get(tensor.id);
    if (known) return known;
    const layer = tensor.sourceLayer;
    const { inboundNodes, inputs, outputs } = fieldsOf<Called>(layer);
    const node = inboundNodes[tensor.nodeIndex];
    if (!node) throw new InvariantError(`layer "${layer.name}" was not called`);
    const from = node.inputTensors.map((input) => resolve(input, scope));
    let results: TensorReference[];
    if (isContainer(layer)) {
      const inner: Scope = new Map(inputs.map((input, i) => [input.id, at(from, i)]));
      results = outputs.map((output) => resolve(output, inner));
    } else {
      const entry = entryOf(layer);
      const kwargs = serializable(node.callArgs);
      const call: CallConfig = from.map(([name, index, output]) => [name, index, output, kwargs]);
      entry.inbound_nodes = [...(entry.inbound_nodes ?? []), call];
      const index = entry.inbound_nodes.length - 1;
      results = node.outputTensors.map((_, output) => [entry.name ?? '', index, output]);
    }
    node.outputTensors.forEach((output, i) => scope.set(output.id, at(results, i)));
    return at(results, node.outputTensors.indexOf(tensor));
  };
  const entryOf = (layer: Layer): LayerConfig => {
    const name = paths.get(layer);
    const written = configs.get(layer);
    if (name === undefined || !written)
      throw new InvariantError(`layer "${layer.name}" is not in the topology`);
    const entry = layers.get(name) ?? { ...written, name, inbound_nodes: [] };
    layers.set(name, entry);
    return entry;
  };

  const scope: Scope = new Map();
  const input_layers = model.inputs.map((input, i): TensorReference => {
    const wanted = model.inputNames[i] ?? input.name;
    const own = paths.get(input.sourceLayer) === wanted;
    const name = own || !taken.has(wanted) ? wanted : names.take(wanted);
    const config = { batch_input_shape: input.shape, dtype: input.dtype, sparse: false, name };
    layers.set(name, { class_name: 'InputLayer', name, config, inbound_nodes: [] });
    scope.set(input.id, [name, 0, 0]);
    return [name, 0, 0];
  });
  const output_layers = model.outputs.map((output, i) => {
    const reference = resolve(output, scope);
    // The outputs keep their names, by which losses and metrics refer to them.
    const name = model.outputNames[i] ?? reference[0];
    if (name === reference[0] || taken.has(name)) return reference;
    const config = { name, activation: 'linear', trainable: true };
    layers.set(name, { class_name: 'Activation', name, config, inbound_nodes: [[[...reference, {}]]] });
    return [name, 0, 0] as TensorReference;
  });
  const config = { name: model.name, layers: [...layers.values()], input_layers, output_layers };
  return { ...topology, class_name: 'Model', config };
}

function collectConfigs(model: Layer, config: ModelConfig, configs: Map<Layer, LayerConfig>): void {
  for (const [i, layer] of layersOf(model).entries()) {
    const written = config.layers?.[i];
    if (!written) throw new InvariantError(`the topology lacks layer "${layer.name}"`);
    if (isContainer(layer)) collectConfigs(layer, written.config, configs);
    else if (!configs.has(layer)) configs.set(layer, written);
  }
}

/** Returns the arguments of a call; without those that tfjs itself leaves out of a saved model: tensors, which are inputs as well. */
function serializable(args: Record<string, unknown> | null | undefined): Record<string, unknown> {
  try {
    return JSON.parse(JSON.stringify(args ?? {})) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function at<T>(values: readonly T[], i: number): T {
  const value = values[i];
  if (value === undefined) throw new InvariantError(`a call has no value ${i}`);
  return value;
}
