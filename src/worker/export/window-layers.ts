/** Maps convolutions and poolings to calls of a GraphWriter. Those of sequences are pictures of height or width 1. */

import { fieldsOf, type LayerVariable } from '../executor/layer.js';
import type { Constant, GraphValue, Padding, Shape } from './graph-writer.js';
import {
  activated,
  checkChannelsLast,
  first,
  optional,
  paddingOf,
  reshaped,
  type Lowering,
  type LoweringContext,
  type Variable,
} from './lowering.js';

interface ConvolutionFields {
  readonly kernel: LayerVariable;
  readonly depthwiseKernel: LayerVariable;
  readonly pointwiseKernel: LayerVariable;
  readonly bias: Variable;
  readonly strides: readonly number[];
  readonly dilationRate: number | readonly number[];
}

type Pair = readonly [number, number];

const one: Pair = [1, 1];

function pairOf(value: number | readonly number[]): Pair {
  if (typeof value === 'number') return [value, value];
  const [height = 1, width = height] = value;
  return [height, width];
}

const conv2d: Lowering = (context) => {
  const { layer, name, writer, shape } = context;
  const fields = fieldsOf<ConvolutionFields>(layer);
  const convolution = {
    name,
    kernel: context.constant(fields.kernel),
    bias: optional(context, fields.bias),
    strides: pairOf(fields.strides),
    dilations: pairOf(fields.dilationRate),
    padding: paddingOf(context),
    depthwise: false,
  };
  return activated(context, writer.conv2d(first(context), convolution, shape));
};

/** Kernels of sequences as kernels of pictures, by the kernel, so that a layer which is called twice has one. */
const pictureKernels = new WeakMap<Constant, Constant>();

function pictureKernel(kernel: Constant): Constant {
  const known = pictureKernels.get(kernel) ?? { shape: [1, ...kernel.shape], values: kernel.values };
  pictureKernels.set(kernel, known);
  return known;
}

const conv1d: Lowering = (context) => {
  const { layer, name, writer, shape } = context;
  const fields = fieldsOf<ConvolutionFields>(layer);
  const convolution = {
    name,
    kernel: pictureKernel(context.constant(fields.kernel)),
    bias: optional(context, fields.bias),
    strides: [1, pairOf(fields.strides)[0]] as const,
    dilations: [1, pairOf(fields.dilationRate)[0]] as const,
    padding: paddingOf(context),
    depthwise: false,
  };
  const x = asPicture(context, 1);
  const y = writer.conv2d(x, convolution, insertOne(shape, 1));
  return activated(context, reshaped(context, y, `${name}/sequence`, shape));
};

function insertOne(shape: Shape, axis: number): Shape {
  return [...shape.slice(0, axis), 1, ...shape.slice(axis)];
}

/** Returns the input, a sequence, as a picture. @param axis the axis of length 1 */
function asPicture(context: LoweringContext, axis: number): GraphValue {
  const x = first(context);
  return reshaped(context, x, `${context.name}/picture`, insertOne(x.shape, axis));
}

const depthwiseConv2d: Lowering = (context) => {
  const { layer, name, writer, shape, refuse } = context;
  const fields = fieldsOf<ConvolutionFields>(layer);
  if (pairOf(fields.dilationRate).some((rate) => rate !== 1)) refuse('tfjs ignores its dilationRate');
  const convolution = {
    name,
    kernel: context.constant(fields.depthwiseKernel),
    bias: optional(context, fields.bias),
    strides: pairOf(fields.strides),
    dilations: one,
    padding: paddingOf(context),
    depthwise: true,
  };
  return activated(context, writer.conv2d(first(context), convolution, shape));
};

const separableConv2d: Lowering = (context) => {
  const { layer, name, writer, shape } = context;
  const fields = fieldsOf<ConvolutionFields>(layer);
  const depthwise = {
    name: `${name}/depthwise`,
    kernel: context.constant(fields.depthwiseKernel),
    bias: undefined,
    strides: pairOf(fields.strides),
    dilations: pairOf(fields.dilationRate),
    padding: paddingOf(context),
    depthwise: true,
  };
  const pointwise = {
    name: `${name}/pointwise`,
    kernel: context.constant(fields.pointwiseKernel),
    bias: optional(context, fields.bias),
    strides: one,
    dilations: one,
    padding: 'valid' as const,
    depthwise: false,
  };
  const channels = pointwise.kernel.shape[2] ?? 0;
  const between = writer.conv2d(first(context), depthwise, [...shape.slice(0, 3), channels]);
  return activated(context, writer.conv2d(between, pointwise, shape));
};

const conv2dTranspose: Lowering = (context) => {
  const { layer, name, writer, shape, refuse } = context;
  const fields = fieldsOf<ConvolutionFields>(layer);
  if (pairOf(fields.dilationRate).some((rate) => rate !== 1)) refuse('tfjs ignores its dilationRate');
  if (!writer.convTranspose) return refuse('the format cannot represent its output size');
  const convolution = {
    name,
    kernel: context.constant(fields.kernel),
    bias: optional(context, fields.bias),
    strides: pairOf(fields.strides),
    padding: paddingOf(context),
  };
  return activated(context, writer.convTranspose(first(context), convolution, shape));
};

interface PoolingFields {
  readonly poolSize: readonly number[];
  readonly strides: readonly number[];
}

const pooling2d =
  (kind: 'max' | 'average'): Lowering =>
  (context) => {
    const { layer, name, writer, shape } = context;
    const { poolSize, strides } = fieldsOf<PoolingFields>(layer);
    const window = {
      name,
      kind,
      size: pairOf(poolSize),
      strides: pairOf(strides),
      padding: paddingOf(context),
    };
    return writer.pool(first(context), window, shape);
  };

const pooling1d =
  (kind: 'max' | 'average'): Lowering =>
  (context) => {
    const { layer, name, writer, shape } = context;
    const { poolSize, strides, padding } = fieldsOf<PoolingFields & { readonly padding: Padding }>(layer);
    const size = [poolSize[0] ?? 1, 1] as const;
    const window = { name, kind, size, strides: [strides[0] ?? 1, 1] as const, padding };
    const y = writer.pool(asPicture(context, 2), window, insertOne(shape, 2));
    return reshaped(context, y, `${name}/sequence`, shape);
  };

const globalPooling2d =
  (kind: 'max' | 'average'): Lowering =>
  (context) => {
    checkChannelsLast(context);
    return context.writer.globalPool(first(context), { name: context.name, kind }, context.shape);
  };

const globalPooling1d =
  (kind: 'max' | 'average'): Lowering =>
  (context) =>
    context.writer.globalPool(asPicture(context, 2), { name: context.name, kind }, context.shape);

export const windowLowerings: Readonly<Record<string, Lowering>> = {
  Conv1D: conv1d,
  Conv2D: conv2d,
  Conv2DTranspose: conv2dTranspose,
  DepthwiseConv2D: depthwiseConv2d,
  SeparableConv2D: separableConv2d,
  MaxPooling1D: pooling1d('max'),
  MaxPooling2D: pooling2d('max'),
  AveragePooling1D: pooling1d('average'),
  AveragePooling2D: pooling2d('average'),
  GlobalMaxPooling1D: globalPooling1d('max'),
  GlobalMaxPooling2D: globalPooling2d('max'),
  GlobalAveragePooling1D: globalPooling1d('average'),
  GlobalAveragePooling2D: globalPooling2d('average'),
};
