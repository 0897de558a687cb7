/**
 * The topology of a model in which every weight has a name of its own. tfjs opens no saved model with two weights of one name, and
 * takes a layer's name for the name of its weights. Layers are therefore saved under their paths (`executor/model-weights.ts`).
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { InvariantError } from '../../shared/errors.js';
import type { Layer } from '../executor/layer.js';
import { isContainer, layerPaths, layersOf, placesOf, wrappedModel } from '../executor/model-weights.js';
import { flatTopology } from './flat-topology.js';
import type { LayerConfig, ModelConfig } from './layer-config.js';

type Paths = ReadonlyMap<Layer, string>;

/**
 * Changes `topology`, the JSON of `model`, and returns it. A model whose layers have unique names stays as it is. A layer that is
 * shared by several nested models, or that a Sequential contains twice, cannot be expressed by nested models: the result is then one
 * functional model without nested ones.
 */
export function uniqueTopology(model: LayersModel, topology: LayerConfig): LayerConfig {
  const paths = layerPaths(model);
  if (![...paths].some(([layer, path]) => path !== layer.name) && !hasRepeats(model)) return topology;
  renameLayers(model, topology.config, paths);
  return hasRepeats(model) ? flatTopology(model, topology, paths) : topology;
}

/** Returns true if a layer has several places in the model. */
function hasRepeats(model: LayersModel): boolean {
  const layers = placesOf(model).map(({ layer }) => layer);
  return new Set(layers).size < layers.length;
}

/** Gives each layer of the model, nested ones included, its path as name. */
function renameLayers(model: Layer, config: ModelConfig, paths: Paths): void {
  const renamed = new Map<string, string>();
  for (const [layer, layerConfig] of configsOf(model, config)) {
    if (isContainer(layer)) {
      renameLayers(layer, layerConfig.config, paths);
      continue;
    }
    const inner = wrappedModel(layer);
    if (inner) renameLayers(inner, innermost(layerConfig).config, paths);
    const path = paths.get(layer) ?? layer.name;
    renamed.set(layer.name, path);
    layerConfig.config.name = path;
    if (layerConfig.name !== undefined) layerConfig.name = path;
  }
  const references = [
    ...(config.layers ?? []).flatMap(({ inbound_nodes = [] }) => inbound_nodes.flat()),
    ...(config.input_layers ?? []),
    ...(config.output_layers ?? []),
  ];
  for (const reference of references) reference[0] = renamed.get(reference[0]) ?? reference[0];
}

/** Returns the layers of a model with their configurations, which tfjs writes in the same order. */
function configsOf(model: Layer, { layers = [] }: ModelConfig): [Layer, LayerConfig][] {
  return layersOf(model).map((layer, i) => {
    const config = layers[i];
    if (!config) throw new InvariantError(`the topology lacks layer "${layer.name}"`);
    return [layer, config];
  });
}

/** Returns the configuration of the model in a wrapper. */
function innermost({ config }: LayerConfig): LayerConfig {
  if (!config.layer)
    throw new InvariantError(`the topology of wrapper "${config.name ?? ''}" lacks its layer`);
  return config.layer.config.layer ? innermost(config.layer) : config.layer;
}
