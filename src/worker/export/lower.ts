/** Translates a tf.LayersModel into calls of a GraphWriter, layer by layer, and refuses layers that cannot be exported. */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { InvariantError, ModelError } from '../../shared/errors.js';
import { buildGraph } from '../executor/graph.js';
import type { Layer, LayerVariable } from '../executor/layer.js';
import { layerPaths } from '../executor/model-weights.js';
import type { Constant, GraphValue, GraphWriter, Shape } from './graph-writer.js';
import { constantOf, lowerings } from './layers.js';

/**
 * Writes the whole model. Dropout and noise layers, which do nothing in inference, are left out.
 * @throws ModelError that names a layer which cannot be exported
 */
export function lowerModel<Value extends GraphValue>(
  model: LayersModel,
  writer: GraphWriter<Value>,
  format: string,
): void {
  const graph = buildGraph(model);
  const paths = layerPaths(model);
  const constants = new Map<LayerVariable, Constant>();
  const constant = (variable: LayerVariable): Constant => {
    const known = constants.get(variable) ?? constantOf(variable);
    constants.set(variable, known);
    return known;
  };
  if (new Set(model.outputNames).size < model.outputNames.length) {
    const got = model.outputNames.join(', ');
    throw new ModelError(
      `Export to ${format}: expected outputs of different names, got ${got}. Use --format tfjs.`,
    );
  }
  const values = new Map<number, Value>();
  for (const [i, slot] of graph.inputs.entries()) {
    const input = model.inputs[i];
    if (input === undefined) throw new InvariantError('a graph has more inputs than its model');
    if (input.dtype !== 'float32') {
      throw new ModelError(
        `Export to ${format}: expected float32 inputs, got ${input.dtype} for "${input.name}". Use --format tfjs.`,
      );
    }
    values.set(slot, writer.input(model.inputNames[i] ?? input.name, input.shape));
  }
  for (const { layer, inputs, outputs } of graph.nodes) {
    const lower = lowerings[layer.getClassName()];
    if (!lower) throw refused(layer, format, 'the exporter does not support this class of layer');
    const from = inputs.map((slot) => valueOf(values, slot));
    const [to] = outputs;
    if (to === undefined) throw new InvariantError(`layer "${layer.name}" has no output`);
    const refuse = (reason: string): never => {
      throw refused(layer, format, reason);
    };
    const name = paths.get(layer) ?? layer.name;
    const shape = outputShape(layer, from);
    if (shape.slice(1).some((size) => Number.isNaN(size))) refuse('the size of its output is not known');
    values.set(to, lower({ layer, name, inputs: from, writer, shape, constant, refuse }) as Value);
  }
  for (const [i, slot] of graph.outputs.entries())
    writer.output(model.outputNames[i] ?? `output_${i}`, valueOf(values, slot));
}

function valueOf<Value>(values: ReadonlyMap<number, Value>, slot: number): Value {
  const value = values.get(slot);
  if (value === undefined) throw new InvariantError(`value ${slot} is used before it is made`);
  return value;
}

function outputShape(layer: Layer, inputs: readonly GraphValue[]): Shape {
  const shapes = inputs.map(({ shape }) => [...shape]);
  const shape = layer.computeOutputShape(shapes.length === 1 ? (shapes[0] ?? []) : shapes);
  return (Array.isArray(shape[0]) ? shape[0] : shape) as Shape;
}

function refused(layer: Layer, format: string, reason: string): ModelError {
  return new ModelError(
    `Export to ${format}: layer "${layer.name}" (${layer.getClassName()}): ${reason}. Use --format tfjs, which takes every layer.`,
  );
}
