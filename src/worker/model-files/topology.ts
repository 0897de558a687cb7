/** Describes a model for the dashboard: its layers in order of computation and the inputs of each. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { shortName } from '../../shared/model/layout.js';
import { maxLayerName, type ModelLayer } from '../../shared/model/model-layer.js';
import { buildGraph } from '../executor/graph.js';
import { layerPaths } from '../executor/model-weights.js';

/** Nested models are flattened. Layers have unique names, as their weights do. A layer that is called twice appears twice, under two names. */
export function topologyOf(model: LayersModel): ModelLayer[] {
  const graph = buildGraph(model);
  const paths = layerPaths(model);
  /** Name of the node that computes a value, by value. */
  const sources = new Map<number, string>();
  const taken = new Map<string, number>();
  const nameFor = (wanted: string): string => {
    const count = taken.get(wanted) ?? 0;
    taken.set(wanted, count + 1);
    return count === 0 ? wanted : `${wanted}_${count}`;
  };
  const inputs = graph.inputs.map((slot, i): ModelLayer => {
    const input = model.inputs[i];
    const name = nameFor(input?.name ?? `input_${i}`);
    sources.set(slot, name);
    return { name, kind: 'InputLayer', inputs: [], shape: input?.shape ?? [], parameters: 0 };
  });
  const layers = graph.nodes.map(
    ({ layer, inputs: slots, outputs, outputShapes: [shape = []] }): ModelLayer => {
      const name = nameFor(shortName(paths.get(layer) ?? layer.name, maxLayerName - 8));
      for (const slot of outputs) sources.set(slot, name);
      return {
        name,
        kind: layer.getClassName(),
        inputs: slots.map((slot) => sources.get(slot) ?? ''),
        shape: [...shape],
        parameters: layer.countParams(),
      };
    },
  );
  return [...inputs, ...layers];
}
