/** A model's layers as TensorBoard's graph: a node a layer, with the shape of what it gives and how many parameters it has. */

import type { ModelLayer } from '../shared/model/model-layer.js';
import type { GraphNode } from './event-file.js';

/** What TensorFlow's node names may have; a slash makes a group. */
const foreign = /[^\w./-]/g;

export function graphOf(layers: readonly ModelLayer[]): GraphNode[] {
  return layers.map(({ name, kind, inputs, shape, parameters }) => ({
    name: nodeName(name),
    op: kind,
    input: inputs.map(nodeName),
    attr: {
      // -1: as many as the batch has.
      _output_shapes: { list: { shape: [{ dim: shape.map((size) => ({ size: size ?? -1 })) }] } },
      parameters: { i: parameters },
    },
  }));
}

function nodeName(name: string): string {
  const clean = name.replace(foreign, '_');
  return /^[\w.]/.test(clean) ? clean : `_${clean}`;
}
