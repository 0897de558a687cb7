/** Maps each class of layer to calls of a GraphWriter. A class that is missing here cannot be exported. */

import type { Tensor } from '@tensorflow/tfjs';
import { fieldsOf, type Layer, type LayerVariable } from '../executor/layer.js';
import {
  activationKinds,
  type ActivationKind,
  type Constant,
  type GraphValue,
  type GraphWriter,
  type Padding,
  type Shape,
} from './graph-writer.js';

export interface LoweringContext {
  readonly layer: Layer;
  /** The layer's unique name. */
  readonly name: string;
  readonly inputs: readonly GraphValue[];
  readonly writer: GraphWriter<GraphValue>;
  /** Shape of the output. */
  readonly shape: Shape;
  /** Returns a weight's values, the same object at each call for a weight. */
  constant(variable: LayerVariable): Constant;
  refuse(reason: string): never;
}

type Lowering = (context: LoweringContext) => GraphValue;

type Variable = LayerVariable | null | undefined;

/** Returns a copy of a weight's values. */
export function constantOf(variable: LayerVariable): Constant {
  const tensor: Tensor = variable.read();
  return { shape: tensor.shape, values: Float32Array.from(tensor.dataSync<'float32'>()) };
}

const optional = ({ constant }: LoweringContext, variable: Variable): Constant | undefined =>
  variable ? constant(variable) : undefined;

const first = ({ inputs, refuse }: LoweringContext): GraphValue => inputs[0] ?? refuse('it has no input');

const unchanged: Lowering = (context) => first(context);

interface PictureFields {
  readonly padding: string;
  readonly dataFormat: string;
}

function paddingOf(context: LoweringContext): Padding {
  const { padding, dataFormat } = fieldsOf<PictureFields>(context.layer);
  if (dataFormat !== 'channelsLast') return context.refuse('only channels last can be exported');
  return padding === 'same' || padding === 'valid' ? padding : context.refuse(`padding "${padding}"`);
}

/** Adds the activation option of Conv2D and Dense. */
function activated(context: LoweringContext, value: GraphValue): GraphValue {
  const name = context.layer.getConfig()['activation'];
  return typeof name === 'string' ? activate(context, value, name) : value;
}

function activate(context: LoweringContext, value: GraphValue, name: string): GraphValue {
  if (name === 'linear') return value;
  const kind = activationKinds.find((known): known is ActivationKind => known === name);
  if (kind === undefined || kind === 'leakyRelu') return context.refuse(`activation "${name}"`);
  return context.writer.activation(value, { name: `${context.name}/${kind}`, kind });
}

const conv2d: Lowering = (context) => {
  const { layer, writer, shape } = context;
  const fields = fieldsOf<{
    readonly kernel: LayerVariable;
    readonly bias: Variable;
    readonly strides: readonly [number, number];
    readonly dilationRate: number | readonly [number, number];
  }>(layer);
  const rate = fields.dilationRate;
  const convolution = {
    name: context.name,
    kernel: context.constant(fields.kernel),
    bias: optional(context, fields.bias),
    strides: fields.strides,
    dilations: typeof rate === 'number' ? ([rate, rate] as const) : rate,
    padding: paddingOf(context),
  };
  return activated(context, writer.conv2d(first(context), convolution, shape));
};

const dense: Lowering = (context) => {
  const { layer, writer, shape } = context;
  const fields = fieldsOf<{ readonly kernel: LayerVariable; readonly bias: Variable }>(layer);
  const weights = {
    name: context.name,
    kernel: context.constant(fields.kernel),
    bias: optional(context, fields.bias),
  };
  return activated(context, writer.dense(first(context), weights, shape));
};

const batchNormalization: Lowering = (context) => {
  const { layer, writer, refuse } = context;
  const fields = fieldsOf<{
    readonly axis: number;
    readonly epsilon: number;
    readonly gamma: Variable;
    readonly beta: Variable;
    readonly movingMean: LayerVariable;
    readonly movingVariance: LayerVariable;
  }>(layer);
  const x = first(context);
  if (fields.axis !== -1 && fields.axis !== x.shape.length - 1)
    return refuse(`axis ${fields.axis}; only the last one can be exported`);
  const mean = context.constant(fields.movingMean);
  const filled = (value: number): Constant => ({
    shape: mean.shape,
    values: new Float32Array(mean.values.length).fill(value),
  });
  return writer.normalize(x, {
    name: context.name,
    gamma: optional(context, fields.gamma) ?? filled(1),
    beta: optional(context, fields.beta) ?? filled(0),
    mean,
    variance: context.constant(fields.movingVariance),
    epsilon: fields.epsilon,
  });
};

const pooling =
  (kind: 'max' | 'average'): Lowering =>
  (context) => {
    const { layer, writer, shape } = context;
    const { poolSize, strides } = fieldsOf<{
      readonly poolSize: readonly [number, number];
      readonly strides: readonly [number, number];
    }>(layer);
    const padding = paddingOf(context);
    return writer.pool(first(context), { name: context.name, kind, size: poolSize, strides, padding }, shape);
  };

const combined =
  (kind: 'add' | 'multiply'): Lowering =>
  ({ name, inputs, writer, shape, refuse }) =>
    inputs.every((input) => input.shape.join() === shape.join())
      ? writer.combine(kind, inputs, name)
      : refuse('its inputs have different shapes');

const activationLayer =
  (kind: ActivationKind): Lowering =>
  (context) =>
    context.writer.activation(first(context), { name: context.name, kind });

export const lowerings: Readonly<Record<string, Lowering>> = {
  Conv2D: conv2d,
  Dense: dense,
  BatchNormalization: batchNormalization,
  MaxPooling2D: pooling('max'),
  AveragePooling2D: pooling('average'),
  GlobalAveragePooling2D: (context) => {
    paddingOfNone(context);
    return context.writer.globalAverage(first(context), context.name, context.shape);
  },
  Flatten: (context) => {
    paddingOfNone(context);
    return context.writer.reshape(first(context), context.name, context.shape);
  },
  Reshape: (context) => context.writer.reshape(first(context), context.name, context.shape),
  Activation: (context) => activated(context, first(context)),
  ReLU: (context) => {
    const { maxValue } = fieldsOf<{ readonly maxValue: number | null | undefined }>(context.layer);
    if (maxValue === null || maxValue === undefined) return activationLayer('relu')(context);
    return maxValue === 6 ? activationLayer('relu6')(context) : context.refuse(`maxValue ${maxValue}`);
  },
  LeakyReLU: (context) => {
    const { alpha } = fieldsOf<{ readonly alpha: number }>(context.layer);
    return context.writer.activation(first(context), { name: context.name, kind: 'leakyRelu', alpha });
  },
  Softmax: (context) => {
    const { axis } = fieldsOf<{ readonly axis: number }>(context.layer);
    const { length } = first(context).shape;
    return axis === -1 || axis === length - 1
      ? activationLayer('softmax')(context)
      : context.refuse(`axis ${axis}; only the last one can be exported`);
  },
  Add: combined('add'),
  Multiply: combined('multiply'),
  Concatenate: ({ layer, name, inputs, writer, shape }) => {
    const { axis } = fieldsOf<{ readonly axis: number }>(layer);
    return writer.concatenate(inputs, axis < 0 ? axis + shape.length : axis, name, shape);
  },
  ZeroPadding2D: (context) => {
    const { padding, dataFormat } = fieldsOf<{
      readonly padding: readonly [readonly [number, number], readonly [number, number]];
      readonly dataFormat: string;
    }>(context.layer);
    if (dataFormat !== 'channelsLast') return context.refuse('only channels last can be exported');
    const [[top, bottom], [left, right]] = padding;
    const pads = { top, bottom, left, right };
    return context.writer.pad(first(context), pads, context.name, context.shape);
  },
  Dropout: unchanged,
  AlphaDropout: unchanged,
  GaussianDropout: unchanged,
  GaussianNoise: unchanged,
  SpatialDropout1D: unchanged,
};

/** Flatten and global pooling have a data format but no padding. */
function paddingOfNone({ layer, refuse }: LoweringContext): void {
  if (fieldsOf<{ readonly dataFormat?: string }>(layer).dataFormat === 'channelsFirst')
    refuse('only channels last can be exported');
}
