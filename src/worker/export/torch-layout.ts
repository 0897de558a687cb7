/**
 * Converts a model's weights to PyTorch's layout and back: Conv2d [out, in, height, width], Linear [out, in], BatchNorm's four
 * vectors. The features of a Linear (or BatchNorm) after a Flatten of a picture are channels first in PyTorch and channels
 * last in tfjs; both are reordered. This module handles no files and no names.
 */

import type { LayersModel } from '@tensorflow/tfjs-layers';
import { InvariantError, ModelError } from '../../shared/errors.js';
import { elementCount } from '../../shared/model/layout.js';
import { buildGraph, type SymbolicShape } from '../executor/graph.js';
import { fieldsOf, type Layer, type LayerVariable } from '../executor/layer.js';
import { layerPaths, UniqueNames } from '../executor/model-weights.js';
import { outInHeightWidth } from './kernel-order.js';

export type TorchPart = 'weight' | 'bias' | 'running_mean' | 'running_var';

/** One tensor of a PyTorch module and the corresponding tfjs variable. */
export interface TorchTensor {
  readonly part: TorchPart;
  /** Shape in PyTorch. */
  readonly shape: readonly number[];
  readonly variable: LayerVariable;
  /** `order[i]` is the index in tfjs's tensor of the i-th value of PyTorch's. */
  readonly order: Uint32Array;
}

export interface TorchModule {
  /** The layer's unique name. In that of a layer in a nested model, `.` separates it from the model, as in PyTorch. */
  readonly layer: string;
  readonly kind: 'conv' | 'linear' | 'norm';
  readonly tensors: readonly TorchTensor[];
}

/** Sizes of the picture that was flattened into a vector. */
type Picture = readonly [height: number, width: number, channels: number];

/** Classes of layers that do not reorder the values of a vector. */
const elementwise: readonly string[] = [
  'Activation',
  'ReLU',
  'LeakyReLU',
  'Dropout',
  'AlphaDropout',
  'GaussianDropout',
  'GaussianNoise',
];

/** Returns the layers with weights, in the model's order. @throws ModelError for a layer without a known layout in PyTorch */
export function torchModules(model: LayersModel): TorchModule[] {
  const graph = buildGraph(model);
  const paths = layerPaths(model);
  const names = new UniqueNames();
  const flattened = new Map<number, Picture>();
  const modules = new Map<Layer, TorchModule>();
  for (const { layer, inputs, inputShapes, outputs } of graph.nodes) {
    const className = layer.getClassName();
    const picture = flattened.get(inputs[0] ?? -1);
    const [to = -1] = outputs;
    if (className === 'Flatten') {
      const size = flattenedSize(inputShapes[0]);
      if (size) flattened.set(to, size);
    } else if (picture && (elementwise.includes(className) || className === 'BatchNormalization')) {
      flattened.set(to, picture);
    }
    if (layer.weights.length > 0 && !modules.has(layer))
      modules.set(layer, {
        ...moduleOf(layer, className, picture),
        layer: names.take(torchName(layer, paths.get(layer) ?? layer.name)),
      });
  }
  return [...modules.values()];
}

function torchName(layer: Layer, path: string): string {
  return path === layer.name ? path : path.replaceAll('/', '.');
}

function flattenedSize(shape: SymbolicShape = []): Picture | undefined {
  const [, height, width, channels] = shape;
  if (shape.length !== 4 || !height || !width || !channels) return undefined;
  return [height, width, channels];
}

function moduleOf(layer: Layer, className: string, picture: Picture | undefined): Omit<TorchModule, 'layer'> {
  const fields = fieldsOf<Readonly<Record<string, LayerVariable | null | undefined>>>(layer);
  const tensors: TorchTensor[] = [];
  const add = (
    part: TorchPart,
    field: string,
    orderOf: (variable: LayerVariable) => [number[], Uint32Array],
  ): void => {
    const variable = fields[field];
    if (!variable) return;
    const [shape, order] = orderOf(variable);
    tensors.push({ part, shape, variable, order });
  };
  const vector = (variable: LayerVariable): [number[], Uint32Array] => {
    const [length] = sizesOf(variable);
    return [[length ?? 0], features(length ?? 0, picture)];
  };
  const plain = (variable: LayerVariable): [number[], Uint32Array] => {
    const [length] = sizesOf(variable);
    return [[length ?? 0], features(length ?? 0, undefined)];
  };
  switch (className) {
    case 'Conv2D':
      add('weight', 'kernel', convolutionKernel);
      add('bias', 'bias', plain);
      return { kind: 'conv', tensors };
    case 'Dense':
      add('weight', 'kernel', (variable) => linearKernel(variable, picture));
      add('bias', 'bias', plain);
      return { kind: 'linear', tensors };
    case 'BatchNormalization':
      add('weight', 'gamma', vector);
      add('bias', 'beta', vector);
      add('running_mean', 'movingMean', vector);
      add('running_var', 'movingVariance', vector);
      return { kind: 'norm', tensors };
    default:
      throw new ModelError(
        `PyTorch's layout: expected Conv2D, Dense or BatchNormalization, got layer "${layer.name}" (${className}). ` +
          'Use the layout of tfjs.',
      );
  }
}

function sizesOf(variable: LayerVariable): number[] {
  return variable.shape.map((size) => size ?? 0);
}

/** [out, in, height, width] */
function convolutionKernel(variable: LayerVariable): [number[], Uint32Array] {
  const sizes = sizesOf(variable);
  const [height = 0, width = 0, channels = 0, filters = 0] = sizes;
  return [[filters, channels, height, width], outInHeightWidth(sizes)];
}

/** Converts [out, in], with the inputs in PyTorch's order of a flattened picture, to [in, out]. */
function linearKernel(variable: LayerVariable, picture: Picture | undefined): [number[], Uint32Array] {
  const [inputs = 0, units = 0] = sizesOf(variable);
  const rows = features(inputs, picture);
  const order = new Uint32Array(inputs * units);
  let to = 0;
  for (let u = 0; u < units; u++) for (const row of rows) order[to++] = row * units + u;
  return [[units, inputs], order];
}

/** Returns tfjs's index of PyTorch's i-th feature: the same one, or that of channels last. */
function features(length: number, picture: Picture | undefined): Uint32Array {
  if (!picture) return Uint32Array.from({ length }, (_, i) => i);
  const [height, width, channels] = picture;
  if (height * width * channels !== length)
    throw new InvariantError(`a flattened ${picture.join('x')} has not ${length} features`);
  const area = height * width;
  return Uint32Array.from({ length }, (_, i) => (i % area) * channels + Math.floor(i / area));
}

/** Returns the variable's values in PyTorch's order. */
export function toTorch({ variable, order }: TorchTensor): Float32Array {
  const values = variable.read().dataSync<'float32'>();
  return Float32Array.from(order, (from) => values[from] ?? 0);
}

/** Returns PyTorch's values in the variable's order. */
export function fromTorch(
  { order, shape }: Pick<TorchTensor, 'order' | 'shape'>,
  values: Float32Array,
): Float32Array {
  if (values.length !== elementCount(shape))
    throw new InvariantError(`${values.length} values for [${shape.join()}]`);
  const own = new Float32Array(values.length);
  for (const [i, to] of order.entries()) own[to] = values[i] ?? 0;
  return own;
}
