/** Builds TensorBoard's graph of a model: one node per layer, with its output's shape and its number of parameters. */

import type { ModelLayer } from '../shared/model/model-layer.js';
import type { GraphNode } from './event-file.js';

/** Characters that TensorFlow's node names do not allow; a slash makes a group. */
const foreign = /[^\w./-]/g;

export function graphOf(layers: readonly ModelLayer[]): GraphNode[] {
  return layers.map(({ name, kind, inputs, shape, parameters }) => ({
    name: nodeName(name),
    op: kind,
    input: inputs.map(nodeName),
    attr: {
      // -1 stands for the size of the batch.
      _output_shapes: { list: { shape: [{ dim: shape.map((size) => ({ size: size ?? -1 })) }] } },
      parameters: { i: parameters },
    },
  }));
}

function nodeName(name: string): string {
  const clean = name.replace(foreign, '_');
  return /^[\w.]/.test(clean) ? clean : `_${clean}`;
}
